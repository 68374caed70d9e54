package broker

import (
	"fmt"
	"net"
	"net/url"

	"github.com/nats-io/nats-server/v2/server"
)

// Cluster makes several brokers one: a client may connect to any, and a session or a
// message that one of three has lost is kept by the other two.
type Cluster struct {
	Name   string   // of this broker, different from the others'
	Listen string   // host:port for the other brokers
	Routes []string // host:port of all of them, itself included
}

// Validate reports what is missing or malformed.
func (c *Cluster) Validate() error {
	if c.Name == "" || len(c.Routes) < 2 {
		return fmt.Errorf("cluster: got name %q and %d routes, want a name and the addresses of all brokers", c.Name,
			len(c.Routes))
	}
	for _, address := range append([]string{c.Listen}, c.Routes...) {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return fmt.Errorf("cluster: %w", err)
		}
	}
	return nil
}

// apply adds the cluster to the options of the server.
func (c *Cluster) apply(o *server.Options) {
	o.ServerName = c.Name
	o.Cluster.Name = "emberwing"
	o.Cluster.Host, o.Cluster.Port = splitAddress(c.Listen)
	for _, r := range c.Routes {
		o.Routes = append(o.Routes, &url.URL{Scheme: "nats", Host: r})
	}
	o.MQTT.StreamReplicas = len(c.Routes)
	o.NoSystemAccount = false // the members of a cluster talk through it
	// The server joins its cluster only once it listens for clients of its own kind, too.
	// On loopback that gives away nothing that the MQTT side does not.
	o.DontListen, o.Host, o.Port = false, "127.0.0.1", server.RANDOM_PORT
}

// splitAddress is for addresses that Validate has seen.
func splitAddress(address string) (host string, port int) {
	u := url.URL{Host: address}
	_, _ = fmt.Sscan(u.Port(), &port)
	return u.Hostname(), port
}
