// Package telemetry is the room between a drone and the people who watch it. It has
// no code of its own; its packages are, in the order a message passes them:
//
//   - wire: message types, JSON form and topics, standard library only;
//   - latency: histograms that stages record into and that travel in wire.Stats;
//   - outbox: messages wait here, alerts on disk, statistics in bounded memory;
//   - mqtt: drains the outbox to a broker and deletes only what was acknowledged;
//   - broker: an embedded broker for demo and field use;
//   - ground: receives, checks, de-duplicates and hands typed messages on;
//   - page: the live page of the ground side, fed by ground;
//   - telemetrytest: real brokers, a link that can be cut, and the contract suite.
//
// None of them imports another room. Goroutines exist where sockets do: in mqtt,
// ground, broker and telemetrytest; each ends when its Run returns or Close does.
//
// Durability belongs to outbox, never to the MQTT client: the client's stores and
// its reconnect logic lose messages, so one client serves one connection only.
package telemetry
