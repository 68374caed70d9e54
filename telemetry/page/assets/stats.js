// Statistics of a drone: the latency of each stage, and what became of the frames.

import { el, text } from "./dom.js";
import { count, duration, millis, ms } from "./format.js";

const head = (...cells) => el("tr", null, cells.map((c, i) => el("th", { scope: "col", class: i > 0 && "number" }, c)));

const row = (name, cells) => el("tr", null, el("th", { scope: "row" }, name),
  cells.map((c) => el("td", { class: "number" }, c)));

function stages(v) {
  return v.stages.map((s) => row(s.name, [
    ...(s.flight.count > 0 ? [s.flight.p50_ns, s.flight.p90_ns, s.flight.p99_ns, s.flight.max_ns].map(ms) : ["–", "–",
      "–", "–"]),
    s.period.count > 0 ? ms(s.period.p99_ns) : "–", count(s.flight.count)]));
}

function frames(v) {
  const names = { captured: "captured", inferred: "inferred", replaced: "replaced by newer", dropped: "dropped",
    errors: "errors" };
  return Object.entries(names).map(([k, name]) => row(name, [count(v.frames[k]), count(v.total[k])]));
}

function queues(v) {
  const t = v.telemetry;
  return `Waiting on the drone: ${count(t.alert_depth)} alert(s), ${count(t.bulk_depth)} other. ` +
    `Given up: ${count(t.dropped)}. Sent again: ${count(t.resent)}.` +
    (v.unmerged > 0 ? ` ${count(v.unmerged)} histogram(s) could not be merged.` : "");
}

// Table of the statistics of a drone.
export class Table {
  constructor(feed) {
    this.feed = feed;
    this.age = el("span", { class: "age" });
    this.rate = el("b");
    this.latency = el("tbody");
    this.counters = el("tbody");
    this.note = el("p", { class: "detail" });
    this.node = el("div", { class: "stats" },
      el("p", { class: "drone-head" }, this.rate, this.age),
      el("table", null, el("caption", null, "Latency since start, ms"),
        el("thead", null, head("stage", "p50", "p90", "p99", "max", "p99 now", "n")), this.latency),
      el("table", null, el("caption", null, "Frames"), el("thead", null, head("what", "last period", "since start")),
        this.counters), this.note);
  }

  update(v) {
    if (this.value !== v) {
      this.value = v;
      text(this.rate, `${v.fps.toFixed(1)} frames/s inferred`);
      this.latency.replaceChildren(...stages(v));
      this.counters.replaceChildren(...frames(v));
      text(this.note, queues(v));
    }
    this.tick();
  }

  tick() {
    const silence = this.feed.now() - millis(this.value.received);
    this.node.classList.toggle("old", silence > 3 * Math.max(this.value.period_ms, 5000));
    text(this.age, `reported ${duration(silence)} ago`);
  }
}
