// The feed keeps a copy of the server's entries by server-sent events. EventSource
// reconnects by itself; a connection that stays open but silent is replaced here.

const SILENT = 7000; // ms; the server pings every 2 s

export class Feed {
  constructor(changed) {
    this.changed = changed; // (kind, key, value or null, fresh)
    this.entries = { drone: new Map(), health: new Map(), stats: new Map(), event: new Map() };
    this.last = "";
    this.heard = 0; // performance.now() of the latest sign of life
    this.offset = 0; // server clock minus ours, ms
    this.settled = false; // false until the state as of now has been received
    this.skipped = 0;
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
    if (quiet > SILENT || this.source.readyState === EventSource.CLOSED) this.connect();
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

  onPing({ now, skipped }) {
    this.sync(now);
    this.settled = true;
    this.skipped = skipped;
  }

  sync(now) {
    this.heard = performance.now();
    this.offset = new Date(now).getTime() - Date.now();
  }
}
