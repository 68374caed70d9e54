// The feed keeps a copy of the server's entries by server-sent events. EventSource
// reconnects by itself; a connection that stays open but silent is replaced here.

const SILENT = 7000; // ms; the server pings every 2 s
const empty = () => ({ drone: new Map(), health: new Map(), stats: new Map(), event: new Map() });

export class Feed {
  constructor(changed) {
    // changed gets (kind, key, value or null, settled, value before); kind "all" when everything
    // is new, "count" when the number of what the server does not hold has changed.
    this.changed = changed;
    this.entries = empty();
    this.last = "";
    this.heard = 0; // performance.now() of the latest sign of life
    this.offset = 0; // server clock minus ours, ms
    this.settled = false; // false until the state as of now has been received
    this.skipped = 0;
    this.unseen = 0; // events that wait and that the server no longer holds
    this.crowded = 0; // drones that the server holds at most, when there are more
    this.station = null; // what the station says of itself: {connected, alarms}
    this.hello = {};
    this.connect();
    setInterval(() => this.watch(), 1000);
  }

  // now is the server's time in ms since 1970; ages are computed with it alone.
  now() {
    return Date.now() + this.offset;
  }

  // silence is how long nothing came from the server, ms; Infinity before the first word.
  silence() {
    return this.heard === 0 ? Infinity : performance.now() - this.heard;
  }

  // verdicts that an operator may give: [{id, text, hint}].
  verdicts() {
    return this.hello.verdicts ?? [];
  }

  connect() {
    this.source?.close();
    this.opened = performance.now();
    this.source = new EventSource(this.last ? `events?last=${encodeURIComponent(this.last)}` : "events");
    this.source.addEventListener("hello", (e) => this.onHello(JSON.parse(e.data)));
    this.source.addEventListener("put", (e) => this.onPut(e.lastEventId, JSON.parse(e.data)));
    this.source.addEventListener("ping", (e) => this.onPing(JSON.parse(e.data)));
  }

  watch() {
    const quiet = Math.min(this.silence(), performance.now() - this.opened);
    const closed = this.source.readyState === EventSource.CLOSED;
    if (closed) this.checkSession();
    if (quiet > SILENT || closed) this.connect();
  }

  // checkSession goes to the login when that is why the stream was refused.
  async checkSession() {
    const response = await fetch("session").catch(() => null);
    if (response?.status === 401) location.assign("login");
  }

  onHello(hello) {
    this.hello = hello;
    this.sync(hello.now);
    if (!hello.reset) return;
    for (const entries of Object.values(this.entries)) entries.clear();
    this.settled = false;
    this.changed("all", "", null, false);
  }

  onPut(id, { kind, key, value }) {
    this.last = id;
    this.heard = performance.now();
    const entries = this.entries[kind];
    if (!entries) return;
    const before = entries.get(key);
    if (value === null) entries.delete(key);
    else entries.set(key, value);
    this.changed(kind, key, value, this.settled, before);
  }

  onPing({ now, skipped, unseen, crowded, station }) {
    this.sync(now);
    const first = !this.settled;
    const counted = unseen !== this.unseen || station?.drones !== this.station?.drones;
    this.settled = true;
    this.skipped = skipped;
    this.unseen = unseen;
    this.crowded = crowded;
    this.station = station;
    if (first) this.changed("all", "", null, true);
    else if (counted) this.changed("count", "", null, true);
  }

  sync(now) {
    this.heard = performance.now();
    this.offset = new Date(now).getTime() - Date.now();
  }
}
