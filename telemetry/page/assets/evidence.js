// Why an event was raised: its picture and the facts behind the decision.

import { el, svg, text, mark } from "./dom.js";
import { clock, delay, score } from "./format.js";

export const active = (v) => v.phase !== "end";

// name is what an event is called everywhere: "Fire: smoke".
export const name = (v) => `${v.task === "fire" ? "Fire" : "Gesture"}: ${v.label}`;

export const tone = (v) => (v.task === "fire" ? "fire" : "gesture");

// stage of an event in words.
export function stage(v) {
  if (v.cut_off) return "end not received: the drone restarted";
  return active(v) ? "going on" : "ended";
}

// meter draws the score against threshold and release. It repeats what the text beside it says.
export function meter(e) {
  const x = (v) => (v * 200).toFixed(1);
  return svg("svg", { viewBox: "0 0 200 22", class: "meter", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { x: 0, y: 5, width: 200, height: 12, class: "meter-back" }),
    svg("rect", { x: 0, y: 5, width: x(e.calibrated), height: 12,
      class: e.calibrated >= e.threshold ? "meter-over" : "meter-under" }),
    svg("rect", { x: x(e.peak), y: 5, width: 1.2, height: 12, class: "meter-peak" }),
    svg("rect", { x: x(e.release), y: 3, width: 1, height: 16, class: "meter-release" }),
    svg("rect", { x: x(e.threshold), y: 0, width: 2, height: 22, class: "meter-threshold" }));
}

// frames draws the window, filled for frames that agree.
function frames(e) {
  if (e.window > 24) return null;
  const boxes = Array.from({ length: e.window }, (_, i) =>
    svg("rect", { x: i * 12 + 1, y: 1, width: 9, height: 12, class: i < e.agree ? "frame-agrees" : "frame-not" }));
  return svg("svg", { viewBox: `0 0 ${e.window * 12} 14`, width: e.window * 12, height: 14, class: "frames",
    "aria-hidden": "true" }, boxes);
}

// choice shows what was asked for and what really runs.
function choice(requested, effective) {
  if (requested === effective) return [`${effective} as requested`];
  return [mark("swap", "warn"), el("strong", { class: "tone-warn" }, ` ${requested} requested, runs as ${effective}`)];
}

function fact(label, ...value) {
  return el("div", { class: "fact" }, el("dt", null, label), el("dd", null, ...value));
}

function steps(v) {
  const begin = v.begin ? `begin ${clock(v.begin.captured)}, here after ${delay(v.begin.delay_ms)}` : "the alert that began it was not received";
  if (v.steps === 1 && v.begin) return begin;
  const last = v.phase === "update" ? `update ${v.revision}` : v.phase;
  return `${begin}; ${last} ${clock(v.last.captured)}, here after ${delay(v.last.delay_ms)}`;
}

// unusual says how far the frame is from what the model was trained on.
function unusual(e) {
  if (!e.ood) return null;
  const far = e.ood.score > e.ood.limit;
  return fact("Novelty", far && mark("swap", "warn"), el(far ? "strong" : "span", far ? { class: "tone-warn" } : null,
    ` ${e.ood.score.toFixed(1)} of ${e.ood.limit.toFixed(1)} allowed${far ? ": unlike what the model was trained on" : ""}`));
}

// where something was seen from, and in which direction.
function position(e) {
  const p = e.position;
  const v = e.view;
  if (!p && !v) return null;
  return fact("Position", p && place(p), p && el("small", null,
    ` ± ${p.uncertainty_m.toFixed(0)} m, ${p.alt_m.toFixed(0)} m above the sea`),
    v && el("span", null, `${p ? " · " : ""}bearing ${v.bearing_deg.toFixed(0)}°`));
}

const place = (p) => `${p.lat.toFixed(5)}, ${p.lon.toFixed(5)}`;

// facts lists why an event was raised, the most telling first.
export function facts(v) {
  const e = v.evidence;
  const m = e.model;
  return [
    fact("Score", meter(e), el("span", null, el("strong", null, score(e.calibrated)),
      ` against threshold ${score(e.threshold)}`,
      el("small", null, `peak ${score(e.peak)} · release ${score(e.release)}`))),
    fact("Frames", frames(e), ` ${e.agree} of ${e.window} agree`,
      el("small", null, ` · held ${(e.dwell_ms / 1000).toFixed(1)} s`)),
    e.scores && Object.keys(e.scores).length > 0 && fact("Labels",
      Object.entries(e.scores).map(([label, s]) => `${label} ${score(s)}`).join(" · ")),
    e.area > 0 && fact("Area", `${(e.area * 100).toFixed(e.area < 0.1 ? 1 : 0)} % of the frame`),
    unusual(e),
    fact("Delay", steps(v), v.late && el("strong", { class: "tone-warn" }, " LATE: it waited on the drone"),
      v.clock === "none" && el("strong", { class: "tone-warn" }, " the drone's clock was never set")),
    position(e),
    fact("Runs as", ...choice(`${m.requested_precision} on ${m.requested_provider}`,
      `${m.effective_precision} on ${m.effective_provider}`),
      m.fallback && ` (${m.fallback})`),
    fact("Model", m.name, el("small", null, ` ${m.sha256.slice(0, 12)}`)),
  ].filter(Boolean);
}

// Picture keeps its image while the address stays the same, so that it does not flicker.
export class Picture {
  constructor(lazy) {
    this.lazy = lazy;
    this.image = el("img", { alt: "", hidden: "" });
    this.note = el("span", { class: "picture-note" });
    this.caption = el("figcaption");
    this.node = el("figure", { class: "picture" }, el("div", { class: "picture-frame" }, this.image, this.note),
      this.caption);
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
