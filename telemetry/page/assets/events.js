// Events: a card for each that is active, a line that opens for each that has ended.

import { el, svg, text, mark } from "./dom.js";
import { clock, delay, duration, millis, score } from "./format.js";

export const active = (v) => v.phase !== "end";

// name is what an event is called everywhere: "Fire: smoke".
export const name = (v) => `${v.task === "fire" ? "Fire" : "Gesture"}: ${v.label}`;

// phase in words.
function phase(v) {
  if (v.cut_off) return "end not received: the drone restarted";
  if (v.phase === "update") return `update ${v.revision}`;
  return v.phase;
}

// meter draws the score against threshold and release. It repeats what the text beside it says.
function meter(e) {
  const x = (v) => (v * 200).toFixed(1);
  return svg("svg", { viewBox: "0 0 200 22", class: "meter", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { x: 0, y: 5, width: 200, height: 12, class: "meter-back" }),
    svg("rect", { x: 0, y: 5, width: x(e.calibrated), height: 12, class: e.calibrated >= e.threshold ? "meter-over" : "meter-under" }),
    svg("rect", { x: x(e.peak), y: 5, width: 1.2, height: 12, class: "meter-peak" }),
    svg("rect", { x: x(e.release), y: 3, width: 1, height: 16, class: "meter-release" }),
    svg("rect", { x: x(e.threshold), y: 0, width: 2, height: 22, class: "meter-threshold" }));
}

// frames draws the window, filled for frames that agree.
function frames(e) {
  if (e.window > 24) return null;
  const boxes = Array.from({ length: e.window }, (_, i) =>
    svg("rect", { x: i * 12 + 1, y: 1, width: 9, height: 12, class: i < e.agree ? "frame-agrees" : "frame-not" }));
  return svg("svg", { viewBox: `0 0 ${e.window * 12} 14`, width: e.window * 12, height: 14, class: "frames", "aria-hidden": "true" }, boxes);
}

// choice shows what was asked for and what really runs.
export function choice(requested, effective) {
  if (requested === effective) return [`${effective} as requested`];
  return [mark("swap", "warn"), el("strong", { class: "tone-warn" }, ` ${requested} requested, runs as ${effective}`)];
}

function fact(label, ...value) {
  return el("div", { class: "fact" }, el("dt", null, label), el("dd", null, ...value));
}

function steps(v) {
  const begin = v.begin ? `begin ${clock(v.begin.captured)}, here after ${delay(v.begin.delay_ms)}` : "the alert that began it was not received";
  if (v.steps === 1 && v.begin) return begin;
  return `${begin}; ${phase(v)} ${clock(v.last.captured)}, here after ${delay(v.last.delay_ms)}`;
}

function facts(v) {
  const e = v.evidence;
  const m = e.model;
  return [
    fact("Score", meter(e), el("span", null, el("strong", null, score(e.calibrated)), ` against threshold ${score(e.threshold)}`,
      el("small", null, `peak ${score(e.peak)} · release ${score(e.release)}`))),
    fact("Frames", frames(e), ` ${e.agree} of ${e.window} agree`, el("small", null, ` · held ${(e.dwell_ms / 1000).toFixed(1)} s`)),
    fact("Labels", e.scores && Object.entries(e.scores).map(([label, s]) => `${label} ${score(s)}`).join(" · ")),
    fact("Delay", steps(v), v.late && el("strong", { class: "tone-warn" }, " LATE: it waited on the drone"),
      v.clock === "none" && el("strong", { class: "tone-warn" }, " the drone's clock was never set")),
    fact("Precision", ...choice(m.requested_precision, m.effective_precision)),
    fact("Provider", ...choice(m.requested_provider, m.effective_provider), m.fallback && ` (${m.fallback})`),
    fact("Model", m.name, el("small", null, ` ${m.sha256.slice(0, 12)}`)),
    e.position && fact("Position", `${e.position.lat.toFixed(5)}, ${e.position.lon.toFixed(5)}, ${e.position.alt_m.toFixed(0)} m`,
      el("small", null, ` within ${e.position.uncertainty_m.toFixed(0)} m`)),
  ];
}

// picture keeps its image while the address stays the same, so that it does not flicker.
class Picture {
  constructor(lazy) {
    this.lazy = lazy;
    this.image = el("img", { alt: "", hidden: "" });
    this.note = el("span", { class: "picture-note" });
    this.caption = el("figcaption");
    this.node = el("figure", { class: "picture" }, el("div", { class: "picture-frame" }, this.image, this.note), this.caption);
    this.image.addEventListener("load", () => this.state(true, ""));
    this.image.addEventListener("error", () => this.state(false, "The picture cannot be had."));
  }

  state(shown, note) {
    this.image.hidden = !shown;
    text(this.note, note);
  }

  update(v) {
    const p = v.picture;
    if (!p || !p.url) {
      this.image.removeAttribute("src");
      this.state(false, p ? `The picture is not here: ${p.ref}` : "No picture was sent.");
      text(this.caption, "");
      return;
    }
    if (this.image.getAttribute("src") !== p.url) {
      this.image.width = p.width;
      this.image.height = p.height;
      if (this.lazy) this.image.loading = "lazy";
      this.image.hidden = false;
      this.image.src = p.url;
    }
    this.image.alt = `Frame of ${name(v)} from drone ${v.drone}`;
    text(this.caption, `${clock(p.captured)}, score ${score(p.calibrated)}`);
  }
}

const tone = (v) => (v.task === "fire" ? "fire" : "gesture");

// Card of an active event.
export function card(feed) {
  return (key) => {
    const picture = new Picture(false);
    const title = el("h3");
    const chip = el("span", { class: "chip" });
    const where = el("p", { class: "where" });
    const age = el("strong");
    const list = el("dl", { class: "facts" });
    const note = el("p", { class: "note", hidden: "" }, "A gesture is reported and never commands the flight.");
    const node = el("article", { class: "card", tabindex: "0" },
      el("div", { class: "card-head" }, title, chip, where), picture.node, el("div", null, list, note));
    let value;
    const part = { node, value: null };
    part.tick = () => {
      const silent = feed.now() - millis(value.last.received);
      text(age, value.cut_off || silent > 15000 ? `last word ${duration(silent)} ago, it may still go on` : `last word ${duration(silent)} ago`);
      age.className = value.cut_off || silent > 15000 ? "tone-warn" : "";
    };
    part.update = (v) => {
      value = v;
      node.dataset.task = v.task;
      node.setAttribute("aria-label", `${name(v)}, drone ${v.drone}`);
      title.replaceChildren(mark(tone(v), tone(v)), ` ${name(v)}`);
      text(chip, phase(v));
      chip.dataset.phase = v.cut_off ? "cut" : v.phase;
      where.replaceChildren(`drone ${v.drone} (${v.fleet}) · since ${clock(v.started)} · `, age);
      picture.update(v);
      list.replaceChildren(...facts(v).filter(Boolean));
      note.hidden = v.task !== "gesture";
      part.tick();
    };
    return part;
  };
}

// Line of an event that has ended; opens with Enter or a tap.
export function line() {
  const picture = new Picture(true);
  const summary = el("summary");
  const list = el("dl", { class: "facts" });
  const node = el("li", null, el("details", null, summary, el("div", { class: "card-body" }, picture.node, list)));
  const update = (v) => {
    summary.replaceChildren(
      el("time", { datetime: v.started }, clock(v.started)), " ", mark(tone(v), tone(v)), el("b", null, ` ${name(v)}`),
      el("span", { class: "line-phase" }, v.ended ? ` ended after ${((millis(v.ended) - millis(v.started)) / 1000).toFixed(1)} s` : " ended"),
      el("span", null, ` peak ${score(v.evidence.peak)}`), el("small", null, ` ${v.drone}`));
    picture.update(v);
    list.replaceChildren(...facts(v).filter(Boolean));
  };
  return { node, value: null, update };
}
