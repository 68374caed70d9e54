// Joins the feed to the parts of the page.

import { card, waits } from "./alerts.js";
import { get, post } from "./api.js";
import { Charts, point } from "./charts.js";
import { DroneCommands } from "./commands.js";
import { byId, el, List, mark, text } from "./dom.js";
import * as drones from "./drones.js";
import { active, name } from "./evidence.js";
import { Feed } from "./feed.js";
import { clock, count, duration, millis, score } from "./format.js";
import { History } from "./history.js";
import { Keys } from "./keys.js";
import { MapView } from "./map.js";
import { Sound } from "./sound.js";
import { Table } from "./stats.js";
import { recall, remember } from "./store.js";

const LOST = 5000; // ms of silence after which the feed counts as lost
const MAPPED = 50; // events on the map besides those that wait
const CARDS = 50; // alerts that wait are shown at a time, so that the page stays quick

// page is what the parts know of the whole.
const page = {
  chosenKey: "", closed: false, chosen: () => page.chosenKey, choose, chooseDrone, answered,
  acknowledge: (_, answer) => post("acknowledge", answer), say: (words) => text(byId("say"), words),
};

let due = false;
const feed = (page.feed = new Feed(changed));
const sound = new Sound(byId("sound"));
const history = new History(page);
const map = new MapView(byId("map"), page);
const lists = {
  waiting: new List(byId("waiting-list"), card(page)),
  gesture: new List(byId("gesture-list"), card(page)),
  answered: new List(byId("answered-list"), card(page)),
  link: new List(byId("link-list"), drones.row(page)),
  drone: new List(byId("drone-list"), drones.row(page)),
};
let detail = null; // of the chosen drone: {key, health, table, charts}

// changed is told of every entry of the feed.
function changed(kind, key, value, settled, before) {
  if (kind === "all") everything(settled);
  if (kind === "event") {
    if (settled && value) announce(value, before);
    if (settled && value && waits(value) && !value.muted) sound.event(key);
    history.changed(key, value);
  }
  if (kind === "drone" && value?.position) map.track(key, value.position);
  if (kind === "stats" && value && detail?.key === key) detail.charts.add(point(value, feed.entries.health.get(key)));
  if (due) return;
  due = true;
  setTimeout(show, 0);
}

// everything begins anew: at first, and when the station has restarted.
function everything(settled) {
  if (!settled) {
    history.forget();
    return;
  }
  map.tiles.use(feed.hello.map);
  for (const [key, v] of feed.entries.event) if (waits(v) && !v.muted) sound.event(key);
  loadTracks();
  enter(view());
}

async function loadTracks() {
  const { tracks } = await get("tracks").catch(() => ({ tracks: {} }));
  map.forget();
  for (const [key, points] of Object.entries(tracks)) for (const [lat, lon] of points) map.track(key, { lat, lon });
  show();
}

// announce tells screen readers of what is new: a fire at once, the rest when they pause.
function announce(v, before) {
  const what = `${name(v)}, drone ${v.drone}`;
  if (!before && active(v)) {
    text(byId(v.task === "fire" ? "say-now" : "say"),
      `New event. ${what}, score ${score(v.evidence.calibrated)}, ${clock(v.started)}.`);
  } else if (before && active(before) && !active(v)) {
    text(byId("say"), `Ended. ${what}, ${clock(v.last.captured)}.`);
  }
}

// ---- views ----

const views = ["alerts", "history", "drones"];
const view = () => views.find((v) => `#${v}` === location.hash) ?? "alerts";

function enter(v) {
  document.body.dataset.view = v;
  for (const a of document.querySelectorAll("nav a")) {
    if (a.dataset.view === v) a.setAttribute("aria-current", "page");
    else a.removeAttribute("aria-current");
  }
  if (v === "history" && feed.settled) history.enter();
  show();
}

// go shows a view at once, not only when the browser tells of the new hash: what is typed next
// belongs there.
function go(v) {
  location.hash = v;
  enter(v);
}

// ---- the chosen alert ----

const cards = () => [...document.querySelectorAll(".view[data-view=alerts] .card")];

// choose opens a card, or closes it.
function choose(key, close) {
  page.closed = close;
  page.chosenKey = close ? "" : key;
  for (const list of [lists.waiting, lists.gesture, lists.answered]) list.tick();
}

function step(by) {
  go("alerts");
  const all = cards();
  const from = all.findIndex((c) => c.contains(document.activeElement));
  const to = from >= 0 ? from + by : 0;
  all[Math.max(0, Math.min(all.length - 1, to))]?.focus();
}

// pressChosen presses a button of the chosen alert.
function pressChosen(selector) {
  const c = cards().find((node) => node.dataset.key === page.chosenKey) ?? cards()[0];
  if (!c) return;
  go("alerts");
  choose(c.dataset.key, false);
  c.querySelector(selector)?.click();
}

// askPicture asks for the picture of the chosen alert, or of what the chosen drone sees.
function askPicture() {
  if (view() === "drones") detail?.commands.picture();
  else pressChosen(".commands > button:first-of-type");
}

// answered moves on to the next alert that waits.
function answered(v, verdict) {
  text(byId("say"), `${name(v)} of drone ${v.drone} answered: ${verdict.text}.`);
  const key = [...feed.entries.event].find(([, e]) => e.id === v.id)?.[0];
  const next = waiting().find(([k]) => k !== key)?.[0] ?? "";
  choose(next, false);
  const node = cards().find((c) => c.dataset.key === next);
  if (view() === "alerts") (node ?? byId("waiting")).focus();
}

// ---- the chosen drone ----

function chooseDrone(key) {
  detail = {
    key, health: new drones.Health(feed, key), commands: new DroneCommands(page,
      key), table: new Table(feed), charts: new Charts(key),
  };
  const past = el("button", { type: "button" }, "Its events");
  past.addEventListener("click", () => searchFor(feed.entries.drone.get(key).drone));
  byId("detail-body").replaceChildren(detail.health.node, detail.commands.node, detail.charts.node, detail.table.node,
    past);
  go("drones");
  showDetail();
}

function searchFor(words) {
  byId("search-text").value = words;
  history.forget();
  go("history");
}

function showDetail() {
  const known = detail && feed.entries.drone.get(detail.key);
  if (!known && view() === "drones" && feed.settled && feed.entries.drone.size > 0) {
    return chooseDrone(sorted("drone", drones.worstFirst(feed.now()))[0][0]);
  }
  byId("detail-empty").hidden = Boolean(known);
  byId("detail-body").hidden = !known;
  if (!known) return;
  text(byId("detail"), `Drone ${known.drone}`);
  const health = feed.entries.health.get(detail.key);
  const stats = feed.entries.stats.get(detail.key);
  detail.health.node.hidden = !health;
  detail.table.node.hidden = !stats;
  if (health) detail.health.update(health);
  detail.commands.update(known, health);
  if (stats) detail.table.update(stats);
  detail.charts.draw();
}

// ---- what is shown ----

const sorted = (kind, compare) => [...feed.entries[kind]].sort(([, a], [, b]) => compare(a, b));
const byName = (a, b) => a.fleet.localeCompare(b.fleet) || a.drone.localeCompare(b.drone);
const newestFirst = (a, b) => millis(b.started) - millis(a.started);
const urgentFirst = (a, b) => active(b) - active(a) || newestFirst(a, b);

const events = (want, compare) => [...feed.entries.event].filter(([, v]) => want(v)).sort(([, a], [, b]) => compare(a,
  b));
const waiting = () => events(waits, urgentFirst);

function section(id, items) {
  lists[id].show(items);
  const empty = byId(`${id}-empty`);
  if (empty) empty.hidden = items.length > 0;
}

// windowed is the beginning of a long list, and the chosen alert wherever it is.
function windowed(open) {
  const shown = open.filter(([key], i) => i < CARDS || key === page.chosenKey);
  byId("waiting-more").hidden = shown.length === open.length && feed.unseen === 0;
  text(byId("waiting-more"),
    `${count(open.length + feed.unseen - shown.length)} more wait: they come up as these are answered, or are in the history.`);
  return shown;
}

function counter(id, value) {
  text(document.querySelector(`#${id} .count`), value > 0 ? `(${count(value)})` : "");
}

function show() {
  due = false;
  const open = waiting();
  const gestures = events((v) => v.task === "gesture" && active(v) && !v.cut_off, newestFirst);
  // What is open stays open: nobody shall answer an alert that has just taken its place.
  if (!page.closed && !feed.entries.event.has(page.chosenKey)) page.chosenKey = open[0]?.[0] ?? "";
  section("waiting", windowed(open));
  section("gesture", gestures);
  const answeredOn = events((v) => v.task === "fire" && v.ack && active(v), newestFirst);
  section("answered", answeredOn);
  byId("answered-section").hidden = answeredOn.length === 0;
  section("link", sorted("drone", drones.worstFirst(feed.now())));
  section("drone", sorted("drone", byName));
  counter("waiting", open.length + feed.unseen);
  counter("gestures", gestures.length);
  const known = Math.max(feed.entries.drone.size, feed.station?.drones ?? 0);
  counter("links", known);
  counter("drones", known);
  map.show([...feed.entries.drone], [...open.slice(0, CARDS),
    ...events((v) => !waits(v), newestFirst).slice(0, MAPPED)]);
  showDetail();
  summarise(open);
  tick();
}

function summarise(open) {
  const banner = byId("banner");
  banner.hidden = !feed.hello.banner;
  text(banner, feed.hello.banner ?? "");
  const on = open.filter(([, v]) => active(v)).length;
  const node = byId("summary");
  const all = open.length + feed.unseen;
  const words = all === 0 ? "No alert waits" : `${count(all)} alert${all > 1 ? "s" : ""} wait${all > 1 ? "" : "s"}${on > 0 ? `, ${count(on)} going on` : ""}`;
  text(node, feed.settled ? words : "Waiting for the first data");
  node.dataset.fire = all > 0;
  text(byId("badge"), all > 0 ? count(all) : "");
  document.title = all > 0 ? `(${all}) Emberwing` : "Emberwing";
  byId("icon").href = all > 0 ? "assets/icon-alert.svg" : "assets/icon.svg";
}

// ---- the passing of time ----

const feedStates = { live: ["disc", "good"], waiting: ["half", "warn"], lost: ["triangle", "bad"] };

function feedState() {
  const silence = feed.silence();
  if (silence === Infinity) return "waiting";
  return silence > LOST ? "lost" : "live";
}

function showFeed() {
  const state = feedState();
  const node = byId("feed");
  if (node.dataset.drawn !== state) {
    node.dataset.state = node.dataset.drawn = state;
    node.className = `feed tone-${feedStates[state][1]}`;
    node.querySelector(".mark").replaceWith(mark(...feedStates[state]));
    if (state === "lost") {
      text(byId("say-now"), "Connection to the ground station lost. What is shown is old.");
      sound.lost();
    }
  }
  const words = { live: "feed live", waiting: "connecting",
    lost: `FEED LOST ${duration(feed.silence())}: what is shown is old` };
  text(node.querySelector(".text"), words[state]);
  document.body.dataset.feed = state;
}

// showTrouble says what keeps alerts from arriving or from being stored.
function showTrouble() {
  const s = feed.station;
  const faults = [feed.unseen > 0 && `${count(feed.unseen)} more alert(s) wait than this page can hold: see the history, answer “waiting”.`,
    s && !s.connected && "The ground station has no connection to the broker: no alert can arrive.", ...(s?.alarms ?? []).map((a) => a.text)].filter(Boolean);
  byId("trouble").hidden = faults.length === 0;
  text(byId("trouble"), faults.join(" · "));
}

// showCrowd says what of a large fleet is not in the list.
function showCrowd() {
  const s = feed.station;
  byId("crowd").hidden = feed.crowded === 0;
  const away = s ? ` Of ${count(s.drones)} drones ${count(s.offline)} are offline and ${count(s.silent)} not heard for a minute.` : "";
  text(byId("crowd"), `Listed are ${count(feed.entries.drone.size)}: those with alerts, then those heard first.${away}`);
}

function tick() {
  for (const list of Object.values(lists)) list.tick();
  detail?.health.value && detail.health.tick();
  showFeed();
  showTrouble();
  showCrowd();
  const skipped = feed.skipped > 0 ? ` · ${count(feed.skipped)} intermediate states skipped` : "";
  text(byId("foot"), `${feed.hello.software ?? ""} · times are of this browser's time zone, ages of the ground station's clock${skipped}`);
}

// ---- theme ----

const root = document.documentElement;
const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : !matchMedia("(prefers-color-scheme: light)").matches);

function switchTheme() {
  root.dataset.theme = dark() ? "light" : "dark";
  remember("theme", root.dataset.theme);
  showTheme();
  show();
}

const showTheme = () => text(byId("theme"), dark() ? "Light" : "Dark");

byId("theme").addEventListener("click", switchTheme);
if (recall("theme")) root.dataset.theme = recall("theme");
showTheme();

new Keys([
  [["j"], "next alert", () => step(1)],
  [["k"], "previous alert", () => step(-1)],
  [["a"], "answer the chosen alert", () => pressChosen(".panel > button")],
  [["p"], "ask for its larger picture, or for what the chosen drone sees", askPicture],
  [["m"], "mute where the chosen alert is", () => pressChosen(".commands > button[aria-controls]")],
  [["i"], "alerts", () => go("alerts")],
  [["h"], "history", () => go("history")],
  [["d"], "drones", () => go("drones")],
  [["/"], "search the history", () => {
    go("history");
    byId("search-text").focus();
  }],
  [["s"], "sound on or off", () => sound.press()],
  [["t"], "dark or light", switchTheme],
  [["?"], "this help", () => byId("keys").showModal()],
]);
addEventListener("hashchange", () => enter(view()));
setInterval(tick, 500);
enter(view());
