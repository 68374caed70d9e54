// Drones: how old their last word is, what waits on them, and what their health says.

import { el, text, mark } from "./dom.js";
import { bytes, clock, count, duration, millis, reading } from "./format.js";

const QUIET = 5000; // ms without a word that are normal whatever the period of reports
const states = {
  live: ["disc", "good", "live"],
  late: ["half", "warn", "late"],
  silent: ["triangle", "bad", "SILENT"],
  offline: ["square", "bad", "offline"],
  unknown: ["diamond", "plain", "not heard yet"],
};

// link judges the age of the last word by the period in which the drone reports.
export function link(v, now) {
  if (v.state === "offline") return "offline";
  if (!v.heard) return "unknown";
  const age = now - millis(v.heard);
  if (age < -QUIET) return "silent"; // the clock of the station was set back: nobody knows, and nothing came since
  const usual = Math.max(QUIET, 2.5 * v.period_ms);
  if (age <= usual) return "live";
  return age <= 3 * usual ? "late" : "silent";
}

// fresh tells whether the reports of a drone are of now.
export function fresh(feed, key) {
  const drone = feed.entries.drone.get(key);
  return Boolean(drone) && ["live", "late"].includes(link(drone, feed.now()));
}

const order = ["offline", "silent", "late", "unknown", "live"];

// worstFirst sorts drones by how much their link needs attention.
export const worstFirst = (now) => (a, b) => order.indexOf(link(a, now)) - order.indexOf(link(b,
  now)) || a.drone.localeCompare(b.drone);

// queue says what waits on a drone; alerts that wait matter, the rest does not.
function queue(v) {
  if (v.alert_depth === undefined || v.alert_depth === null) return "queue unknown";
  const alerts = v.alert_depth > 0 ? `${count(v.alert_depth)} ALERT${v.alert_depth > 1 ? "S" : ""} WAIT` : "no alert waits";
  return v.bulk_depth > 0 ? `${alerts} · ${count(v.bulk_depth)} reports` : alerts;
}

function warnings(v) {
  return [
    v.missing > 0 && `${count(v.missing)} earlier alert${v.missing > 1 ? "s" : ""} of this drone ${v.missing > 1 ? "have" : "has"} not arrived`,
    v.state === "offline" && `offline: ${v.reason || "no reason given"}`,
    v.dropped > 0 && `${count(v.dropped)} reports gave way to newer ones`,
    v.clock === "none" && "its clock was never set",
  ].filter(Boolean).join(" · ");
}

export function lastWord(v, now) {
  if (!v.heard) return "never heard here";
  const age = now - millis(v.heard);
  if (age < -QUIET) return "no word since the clock of the station was set back";
  return `last word ${duration(Math.max(0, age))} ago`;
}

class Row {
  constructor(page, key) {
    this.page = page;
    this.badge = el("span", { class: "badge" });
    this.title = el("b");
    this.age = el("span", { class: "age" });
    this.depth = el("span", { class: "depth" });
    this.warning = el("p", { class: "tone-warn", hidden: "" });
    this.more = el("small");
    this.button = el("button", { type: "button", class: "drone-pick" }, this.badge, this.title, this.depth, this.age);
    this.button.addEventListener("click", () => page.chooseDrone(key));
    this.node = el("li", { class: "drone", "data-drone": key }, this.button, this.warning, this.more);
    this.shown = "";
    this.value = null;
  }

  update(v) {
    this.value = v;
    text(this.title, v.drone);
    text(this.depth, queue(v));
    this.depth.classList.toggle("tone-warn", v.alert_depth > 0);
    const warning = warnings(v);
    text(this.warning, warning);
    this.warning.hidden = warning === "";
    text(this.more, [v.fleet && `fleet ${v.fleet}`, v.board, v.software,
      v.started && `up since ${clock(v.started)}`].filter(Boolean).join(" · "));
    this.tick();
  }

  tick() {
    const v = this.value;
    const state = link(v, this.page.feed.now());
    const [shape, tone, words] = states[state];
    if (state !== this.shown) this.badge.replaceChildren(mark(shape, tone), ` ${words}`);
    this.badge.className = `badge tone-${tone}`;
    this.node.dataset.state = this.shown = state;
    text(this.age, lastWord(v, this.page.feed.now()));
  }
}

// row of a drone.
export function row(page) {
  return (key) => {
    const r = new Row(page, key);
    return { node: r.node, value: null, update: (v) => r.update(v), tick: () => r.tick() };
  };
}

const severities = { info: ["disc", "plain"], warning: ["half", "warn"], alarm: ["triangle", "bad"] };
const summaries = { ok: ["tick", "good", "no fault reported"], degraded: ["half", "warn", "degraded"],
  alarm: ["triangle", "bad", "alarm"] };

// condition shows one thing that is wrong.
export function condition(c) {
  const [shape, tone] = severities[c.severity] ?? severities.alarm;
  return el("li", null, mark(shape, tone), el("b", { class: `tone-${tone}` }, ` ${c.severity} `),
    el("code", null, c.code),
    ` ${c.text} `, el("small", null, `since ${clock(c.since)}`));
}

function resources(v) {
  const { memory: m, disk: d } = v;
  return [
    m && `memory ${bytes(m.available_bytes)} of ${bytes(m.total_bytes)} free, daemon ${bytes(m.process_bytes)}`,
    d && `disk ${bytes(d.free_bytes)} of ${bytes(d.total_bytes)} free, outbox ${bytes(d.outbox_bytes)}`,
  ].filter(Boolean).join(" · ");
}

function details(v) {
  const s = v.source;
  const l = v.link;
  return [
    s && `source ${s.name}: ${s.state}, ${count(s.gaps)} gap(s), ${count(s.missed)} frame(s) missed`,
    l && `link: ${l.connected ? "up" : "down"}, connection ${count(l.generation)}, ${count(l.failures)} failure(s)${l.last_error ? `: ${l.last_error}` : ""}`,
    resources(v),
    v.mutes.length > 0 && `muted: ${v.mutes.map((m) => `${m.id} for ${duration(1000 * m.seconds)}`).join(", ")}`,
    v.sensors.length > 0 && v.sensors.map((r) => `${r.name} ${reading(r)}`).join(" · "),
  ].filter(Boolean).map((t) => el("p", { class: "detail" }, t));
}

// Health of a drone. A report of a drone that has fallen silent says nothing about now,
// least of all that all is well.
export class Health {
  constructor(feed, key) {
    this.feed = feed;
    this.key = key;
    this.badge = el("span");
    this.age = el("span", { class: "age" });
    this.list = el("ul", { class: "plain conditions" });
    this.more = el("div");
    this.node = el("div", { class: "health" }, el("p", { class: "drone-head" }, this.badge, this.age), this.list,
      this.more);
    this.shown = "";
  }

  update(v) {
    if (this.value === v) return this.tick();
    this.value = v;
    this.list.replaceChildren(...v.conditions.map(condition));
    this.more.replaceChildren(...details(v));
    this.tick();
  }

  tick() {
    const old = !fresh(this.feed, this.key);
    const said = summaries[this.value.state] ?? summaries.alarm;
    const [shape, tone] = old ? ["diamond", "warn"] : said;
    const words = old ? `unknown, last report: ${said[2]}` : said[2];
    if (words !== this.shown) this.badge.replaceChildren(mark(shape, tone), ` ${(this.shown = words)}`);
    this.badge.className = `badge tone-${tone}`;
    this.list.classList.toggle("old", old);
    this.more.classList.toggle("old", old);
    text(this.age, `reported ${duration(this.feed.now() - millis(this.value.received))} ago`);
  }
}
