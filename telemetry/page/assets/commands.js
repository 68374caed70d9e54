// Commands to a drone: a picture, muting an area, a threshold, how much it sends. What became
// of each is shown until the drone has answered or the command has expired.

import { explain, get, post } from "./api.js";
import { choices, steer } from "./choice.js";
import { el, text } from "./dom.js";
import { clock } from "./format.js";
import { recall, remember } from "./store.js";

const POLL = 1000; // ms between questions after commands that are under way
const WIDTH = 15; // degrees to each side of the bearing that is muted
const RADIUS = 500; // m around a drone that is muted, unless said otherwise
const spans = [[15, "15 minutes"], [60, "1 hour"], [240, "4 hours"]];
const names = { snapshot: "Picture", mute: "Mute", threshold: "Threshold", profile: "Profile", acknowledge: "Answer" };

// fate says what became of a command.
function fate(o) {
  const few = ["waits for the drone", "sent, not confirmed yet"];
  const waits = few[o.attempts] ?? `sent ${o.attempts} times, not confirmed yet`;
  const fates = {
    pending: waits, done: "confirmed by the drone", refused: `REFUSED by the drone: ${o.text}`, failed: `FAILED: ${o.text}`,
    expired: `TIMED OUT: ${o.text}`,
  };
  return fates[o.state] ?? o.state;
}

function detail(o) {
  const a = o.args;
  switch (o.verb) {
    case "mute": return a.seconds > 0 ? `${a.id} for ${Math.round(a.seconds / 60)} min` : `${a.id} lifted`;
    case "threshold": return a.value > 0 ? `${a.task} ${a.value}` : `${a.task} as configured`;
    case "profile": return a.name;
    case "acknowledge": return a.verdict;
    default: return a.event ? "of an event" : "of now";
  }
}

function line(o) {
  return el("li", { "data-state": o.state, "data-verb": o.verb }, el("b", null, `${names[o.verb] ?? o.verb} `),
    `${detail(o)}: `,
    el("strong", null, fate(o)), el("small", null, ` ${o.operator} ${clock(o.created)}`));
}

// Orders sends commands to one drone and follows them; want selects those that are shown.
class Orders {
  constructor(page, drone, want) {
    Object.assign(this, { page, drone, want, sent: new Set() }); // drone returns {fleet, drone}
    this.list = el("ul", { class: "plain orders" });
    this.fault = el("p", { class: "fault", role: "alert" });
    this.node = el("div", null, this.fault, this.list);
  }

  async send(verb, args) {
    text(this.fault, "");
    const { fleet, drone } = this.drone();
    try {
      const { id } = await post("command", { fleet, drone, verb, args, operator: recall("operator") });
      this.sent.add(id);
      await this.refresh();
      return true;
    } catch (err) {
      text(this.fault, `${names[verb]} was not sent. ${explain(err)}`);
      return false;
    }
  }

  // refresh asks what became of the commands, and again while one is under way.
  async refresh() {
    clearTimeout(this.timer);
    const { fleet, drone } = this.drone();
    const { orders } = await get("commands", { fleet, drone }).catch(() => ({ orders: null }));
    if (orders) this.show(orders.filter((o) => this.want(this, o)));
    const open = !orders || orders.some((o) => o.state === "pending");
    if (open && this.node.isConnected) this.timer = setTimeout(() => this.refresh(), POLL);
  }

  show(orders) {
    const before = this.known ?? new Map();
    this.known = new Map(orders.map((o) => [o.id, `${o.state} ${o.attempts}`]));
    if (orders.every((o) => before.get(o.id) === this.known.get(o.id)) && before.size === orders.length) return;
    for (const o of orders) {
      const known = before.get(o.id);
      if (known && !known.startsWith(o.state)) this.page.say(`${names[o.verb] ?? o.verb} ${detail(o)}: ${fate(o)}`);
    }
    this.list.replaceChildren(...orders.map(line));
  }
}

let panels = 0;

// EventCommands stand beside the answer of an event.
export class EventCommands {
  constructor(page, event, leave) {
    Object.assign(this, { page, event, leave, id: `mute-${++panels}` });
    this.orders = new Orders(page, event, (own, o) => own.sent.has(o.id));
    this.picture = el("button", { type: "button" }, "Larger picture ", el("kbd", null, "P"));
    this.picture.addEventListener("click", () => this.orders.send("snapshot", { event: this.event().event }));
    this.mute = el("button", { type: "button", "aria-expanded": "false", "aria-controls": this.id }, "Mute here ",
      el("kbd", null, "M"));
    this.mute.addEventListener("click", () => (this.box.hidden ? this.open() : this.close(true)));
    this.spans = choices(spans, ([minutes, words]) => [{ "data-minutes": minutes }, words,
      () => this.silence(minutes)]);
    this.words = el("legend");
    const cancel = el("button", { type: "button" }, "Cancel ", el("kbd", null, "Esc"));
    cancel.addEventListener("click", () => this.close(true));
    this.box = el("fieldset", { id: this.id, class: "verdict", hidden: "" }, this.words, this.spans, cancel);
    this.box.addEventListener("keydown", (e) => steer(e, this.spans, () => this.close(true)));
    this.node = el("div", { class: "panel commands" }, this.picture, " ", this.mute, this.box, this.orders.node);
  }

  update(v) {
    this.node.hidden = !this.page.feed.hello.commands || !v.id;
    this.mute.disabled = !area(v.evidence);
    this.mute.title = this.mute.disabled ? "The alert says neither where it is nor in which direction." : "";
  }

  open() {
    if (this.mute.disabled) return;
    text(this.words, `Mark alerts ${area(this.event().evidence).words} as muted for`);
    this.box.hidden = false;
    this.mute.setAttribute("aria-expanded", "true");
    this.spans.firstChild.focus();
  }

  close(back) {
    if (this.box.hidden) return;
    this.box.hidden = true;
    this.mute.setAttribute("aria-expanded", "false");
    if (back) this.leave();
  }

  async silence(minutes) {
    const v = this.event();
    const { shape } = area(v.evidence);
    this.close(true);
    await this.orders.send("mute", { id: muteID(v.event), seconds: 60 * minutes, task: v.task, ...shape });
  }
}

// area is what an alert was about: a direction when it says one, else the place of the drone.
function area(e) {
  const turn = (deg) => (Math.round(deg) + 360) % 360;
  if (e.view) {
    const b = e.view.bearing_deg;
    const sector = { from_deg: turn(b - WIDTH), to_deg: turn(b + WIDTH) };
    return { words: `between ${sector.from_deg}° and ${sector.to_deg}° of this drone`, shape: { sector } };
  }
  if (!e.position) return null;
  return { words: `within ${RADIUS} m of where this drone was`,
    shape: { circle: { lat: e.position.lat, lon: e.position.lon, radius_m: RADIUS } } };
}

// muteID makes a name that a second mute of the same event replaces.
const muteID = (event) => `page-${event.replace(/[^A-Za-z0-9.-]/g, "-").slice(-40)}`;

// DroneCommands stand in the detail of a drone.
export class DroneCommands {
  constructor(page, key) {
    this.page = page;
    this.key = key;
    this.orders = new Orders(page, () => page.feed.entries.drone.get(key) ?? splitKey(key), () => true);
    this.snapshot = el("img", { class: "snapshot", hidden: "" });
    this.caption = el("p", { class: "detail" });
    this.lifts = el("div", { class: "choices" });
    this.operator = el("input", { type: "text", maxlength: "64", autocomplete: "name" });
    this.operator.value = recall("operator");
    this.operator.addEventListener("change", () => remember("operator", this.operator.value.trim()));
    const picture = el("button", { type: "button" }, "Picture of now ", el("kbd", null, "P"));
    picture.addEventListener("click", () => this.picture());
    this.node = el("section", { class: "health commands", "aria-label": "Commands to this drone" },
      el("h3", null, "Commands"),
      el("p", null, el("label", null, "Your name ", this.operator), " ", picture), this.snapshot, this.caption,
      this.muteForm(), this.lifts, this.thresholdForm(), this.profileForm(), this.orders.node);
  }

  picture() {
    return this.orders.send("snapshot", {});
  }

  muteForm() {
    this.radius = el("input", { type: "number", min: "1", max: "100000", step: "1", value: String(RADIUS),
      required: "" });
    this.minutes = el("select", null, spans.map(([m, words]) => el("option", { value: m }, words)));
    this.here = el("button", null, "Mute around it");
    return form([el("label", null, "Metres ", this.radius), el("label", null, "for ", this.minutes), this.here], () => {
      const p = this.page.feed.entries.drone.get(this.key)?.position;
      if (!p) return text(this.orders.fault, "Mute was not sent. The drone has not said where it is.");
      const circle = { lat: p.lat, lon: p.lon, radius_m: this.radius.valueAsNumber };
      return this.orders.send("mute", { id: "page-area", seconds: 60 * Number(this.minutes.value), circle });
    });
  }

  thresholdForm() {
    const task = el("select", null, ["fire", "gesture"].map((t) => el("option", null, t)));
    const value = el("input", { type: "number", min: "0.01", max: "0.99", step: "0.01", placeholder: "0.01 to 0.99",
      required: "" });
    const back = el("button", { type: "button" }, "As configured");
    back.addEventListener("click", () => this.orders.send("threshold", { task: task.value, value: 0 }));
    return form([el("label", null, "Threshold of ", task), el("label", null, "score ", value),
      el("button", null, "Set threshold"), back],
      () => this.orders.send("threshold", { task: task.value, value: value.valueAsNumber }));
  }

  profileForm() {
    const profiles = [["normal", "as configured"], ["narrow", "little, for a narrow link"], ["detailed", "much"]];
    const profile = el("select", null, profiles.map(([id, words]) => el("option", { value: id }, words)));
    return form([el("label", null, "Send ", profile), el("button", null, "Set profile")],
      () => this.orders.send("profile", { name: profile.value }));
  }

  // update shows what the drone says of itself.
  update(drone, health) {
    this.node.hidden = !this.page.feed.hello.commands;
    if (!this.asked && !this.node.hidden) this.asked = this.orders.refresh();
    const mutes = (health?.mutes ?? []).map((m) => m.id).sort();
    if (mutes.join() !== this.muted) this.lifts.replaceChildren(...mutes.map((id) => this.lift(id)));
    this.muted = mutes.join();
    const s = drone.snapshot;
    this.snapshot.hidden = !s;
    text(this.caption, s ? `Picture of ${clock(s.captured)}` : "");
    if (!s || this.snapshot.getAttribute("src") === s.url) return;
    Object.assign(this.snapshot, { width: s.width, height: s.height, alt: `What drone ${drone.drone} sees`,
      src: s.url });
  }

  lift(id) {
    const b = el("button", { type: "button" }, `Lift mute ${id}`);
    b.addEventListener("click", () => this.orders.send("mute", { id, seconds: 0 }));
    return b;
  }
}

function form(parts, send) {
  const f = el("form", { class: "search" }, ...parts);
  f.addEventListener("submit", (e) => {
    e.preventDefault();
    send();
  });
  return f;
}

function splitKey(key) {
  const [fleet, drone] = key.split("/");
  return { fleet, drone };
}
