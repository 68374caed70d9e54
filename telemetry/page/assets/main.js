// Joins the feed to the parts of the page.

import { byId, List, mark, text } from "./dom.js";
import * as drones from "./drones.js";
import * as events from "./events.js";
import { Feed } from "./feed.js";
import { clock, count, duration, millis, score } from "./format.js";
import * as stats from "./stats.js";

const HISTORY = 100; // lines shown
const STRIP = 12; // drones in the header, those that need attention first

let due = false;
const feed = new Feed((kind, key, value, settled, before) => {
  if (kind === "event" && settled && value) announce(value, before);
  if (due) return;
  due = true;
  setTimeout(show, 0);
});

const lists = {
  active: new List(byId("active-list"), events.card(feed)),
  history: new List(byId("history-list"), events.line),
  strip: new List(byId("strip"), drones.chip(feed)),
  drone: new List(byId("drone-list"), drones.row(feed)),
  health: new List(byId("health-list"), drones.block(feed)),
  stats: new List(byId("stats-list"), stats.block(feed)),
};

// announce tells screen readers of what is new: a fire at once, the rest when they pause.
function announce(v, before) {
  const what = `${events.name(v)}, drone ${v.drone}`;
  if (!before && events.active(v)) {
    text(byId(v.task === "fire" ? "say-now" : "say"), `New event. ${what}, score ${score(v.evidence.calibrated)}, ${clock(v.started)}.`);
  } else if (before && events.active(before) && !events.active(v)) {
    text(byId("say"), `Ended. ${what}, ${clock(v.last.captured)}.`);
  }
}

const sorted = (kind, compare) => [...feed.entries[kind]].sort(([, a], [, b]) => compare(a, b));
const byName = (a, b) => a.fleet.localeCompare(b.fleet) || a.drone.localeCompare(b.drone);
const newestFirst = (a, b) => millis(b.started) - millis(a.started);
const urgentFirst = (a, b) => (a.task === "fire" ? 0 : 1) - (b.task === "fire" ? 0 : 1) || newestFirst(a, b);

function section(list, id, items, total = items.length) {
  list.show(items);
  const empty = byId(`${id}-empty`);
  if (empty) empty.hidden = items.length > 0;
  return total;
}

function counter(id, value) {
  text(document.querySelector(`#${id} .count`), value > 0 ? `(${count(value)})` : "");
}

function show() {
  due = false;
  const all = [...feed.entries.event];
  const on = all.filter(([, v]) => events.active(v)).sort(([, a], [, b]) => urgentFirst(a, b));
  const off = all.filter(([, v]) => !events.active(v)).sort(([, a], [, b]) => newestFirst(a, b));
  counter("active", section(lists.active, "active", on));
  counter("history", section(lists.history, "history", off.slice(0, HISTORY), off.length));
  counter("drones", section(lists.drone, "drone", sorted("drone", byName)));
  lists.strip.show(sorted("drone", drones.worstFirst(feed.now())).slice(0, STRIP));
  section(lists.health, "health", sorted("health", byName));
  section(lists.stats, "stats", sorted("stats", byName));
  const banner = byId("banner");
  banner.hidden = !feed.hello.banner;
  text(banner, feed.hello.banner ?? "");
  summarise(on.map(([, v]) => v));
  tick();
}

function summarise(on) {
  const fires = on.filter((v) => v.task === "fire").length;
  const gestures = on.length - fires;
  const parts = [fires > 0 && `${fires} fire`, gestures > 0 && `${gestures} gesture`].filter(Boolean).join(", ");
  const node = byId("summary");
  text(node, parts ? `${parts} active` : "No active event is known");
  node.dataset.fire = fires > 0;
  document.title = on.length > 0 ? `(${on.length}) Emberwing` : "Emberwing";
}

const feedStates = {
  live: ["disc", "good"],
  waiting: ["half", "warn"],
  lost: ["triangle", "bad"],
};

function tick() {
  for (const list of Object.values(lists)) list.tick();
  const silence = feed.silence();
  const state = silence === Infinity ? "waiting" : silence > 5000 ? "lost" : "live";
  const node = byId("feed");
  if (node.dataset.state !== state || node.dataset.drawn !== "yes") {
    node.dataset.state = state;
    node.dataset.drawn = "yes";
    node.className = `feed tone-${feedStates[state][1]}`;
    node.querySelector(".mark").replaceWith(mark(...feedStates[state]));
    if (state === "lost") text(byId("say-now"), "Connection to the ground program lost. What is shown is old.");
  }
  const words = { live: "feed live", waiting: "connecting to the ground program", lost: `FEED LOST ${duration(silence)}: what is shown is old` };
  text(node.querySelector(".text"), words[state]);
  document.body.dataset.feed = state;
  const skipped = feed.skipped > 0 ? ` · ${count(feed.skipped)} intermediate states skipped` : "";
  text(byId("foot"), `${feed.hello.software ?? ""} · times are of this browser's time zone, ages of the ground program's clock${skipped}`);
}

setInterval(tick, 500);
show();
