// Drones: how old their last word is, and what their health reports say.

import { el, text, mark } from "./dom.js";
import { clock, count, duration, millis, reading } from "./format.js";

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
  const usual = Math.max(QUIET, 2.5 * v.period_ms);
  if (age <= usual) return "live";
  return age <= 3 * usual ? "late" : "silent";
}

// ended tells whether the reports of a drone are no longer of now.
const ended = (feed, key) => {
  const drone = feed.entries.drone.get(key);
  return !drone || !["live", "late"].includes(link(drone, feed.now()));
};

const order = ["offline", "silent", "late", "unknown", "live"];

// worstFirst sorts drones by how much their link needs attention.
export const worstFirst = (now) => (a, b) => order.indexOf(link(a, now)) - order.indexOf(link(b, now)) || a.drone.localeCompare(b.drone);

// chip of a drone in the header.
export function chip(feed) {
  return () => {
    const node = el("li");
    const age = el("span");
    let value;
    let shown = "";
    const part = { node, value: null };
    part.tick = () => {
      const state = link(value, feed.now());
      const [shape, tone, words] = states[state];
      if (state !== shown) node.replaceChildren(mark(shape, tone), el("span", { class: "unseen" }, words), ` ${value.drone} `, age);
      node.className = `tone-${tone}`;
      shown = state;
      text(age, value.heard ? duration(feed.now() - millis(value.heard)) : "never");
    };
    part.update = (v) => {
      value = v;
      part.tick();
    };
    return part;
  };
}

// row of a drone in the list of links.
export function row(feed) {
  return () => {
    const badge = el("span", { class: "badge" });
    const title = el("b");
    const age = el("span", { class: "age" });
    const more = el("small");
    const warning = el("p", { class: "tone-warn", hidden: "" });
    const node = el("li", { class: "drone" }, el("p", { class: "drone-head" }, badge, title, age), warning, more);
    let value;
    let shown = "";
    const part = { node, value: null };
    part.tick = () => {
      const state = link(value, feed.now());
      const [shape, tone, words] = states[state];
      if (state !== shown) badge.replaceChildren(mark(shape, tone), ` ${words}`);
      badge.className = `badge tone-${tone}`;
      shown = state;
      text(age, value.heard ? `last word ${duration(feed.now() - millis(value.heard))} ago` : "never heard here");
    };
    part.update = (v) => {
      value = v;
      text(title, v.drone);
      text(warning, v.missing > 0 ? `${count(v.missing)} earlier alert(s) of this drone have not arrived` : "");
      warning.hidden = v.missing === 0;
      const parts = [v.fleet && `fleet ${v.fleet}`, v.board, v.software, v.started && `up since ${clock(v.started)}`,
        v.state === "offline" && v.reason, v.clock === "none" && "clock never set"];
      text(more, parts.filter(Boolean).join(" · "));
      part.tick();
    };
    return part;
  };
}

const severities = { info: ["disc", "plain"], warning: ["half", "warn"], alarm: ["triangle", "bad"] };
const summaries = { ok: ["tick", "good", "no fault reported"], degraded: ["half", "warn", "degraded"], alarm: ["triangle", "bad", "alarm"] };

function condition(c) {
  const [shape, tone] = severities[c.severity] ?? severities.alarm;
  return el("li", null, mark(shape, tone), el("b", { class: `tone-${tone}` }, ` ${c.severity} `), el("code", null, c.code),
    ` ${c.text} `, el("small", null, `since ${clock(c.since)}`));
}

function details(v) {
  const s = v.source;
  const l = v.link;
  return [
    s && `source ${s.name}: ${s.state}, ${count(s.gaps)} gap(s), ${count(s.missed)} frame(s) missed`,
    l && `link: ${l.connected ? "up" : "down"}, connection ${count(l.generation)}, ${count(l.failures)} failure(s)${l.last_error ? `: ${l.last_error}` : ""}`,
    v.sensors.length > 0 && v.sensors.map((r) => `${r.name} ${reading(r)}`).join(" · "),
  ].filter(Boolean).map((t) => el("p", { class: "detail" }, t));
}

// block of the health of a drone. A report of a drone that has fallen silent says nothing
// about now, least of all that all is well.
export function block(feed) {
  return (key) => {
    const badge = el("span");
    const title = el("b");
    const age = el("span", { class: "age" });
    const head = el("p", { class: "drone-head" }, badge, title, age);
    const list = el("ul", { class: "plain conditions" });
    const more = el("div");
    const node = el("div", { class: "health" }, head, list, more);
    let value;
    const part = { node, value: null };
    let shown = "";
    part.tick = () => {
      const old = ended(feed, key);
      const [shape, tone, words] = old ? ["diamond", "warn", "unknown, last report:"] : (summaries[value.state] ?? summaries.alarm);
      const now = old ? `${words} ${(summaries[value.state] ?? summaries.alarm)[2]}` : words;
      if (now !== shown) badge.replaceChildren(mark(shape, tone), ` ${(shown = now)}`);
      badge.className = `badge tone-${tone}`;
      list.classList.toggle("old", old);
      more.classList.toggle("old", old);
      text(age, `reported ${duration(feed.now() - millis(value.received))} ago`);
    };
    part.update = (v) => {
      value = v;
      text(title, v.drone);
      list.replaceChildren(...v.conditions.map(condition));
      more.replaceChildren(...details(v));
      part.tick();
    };
    return part;
  };
}
