// Statistics: the latency of each stage, and what became of the frames.

import { el, text } from "./dom.js";
import { count, duration, millis, ms } from "./format.js";

const head = (...cells) => el("tr", null, cells.map((c, i) => el("th", { scope: "col", class: i > 0 && "number" }, c)));

const row = (name, cells) => el("tr", null, el("th", { scope: "row" }, name), cells.map((c) => el("td", { class: "number" }, c)));

function stages(v) {
  return v.stages.map((s) => row(s.name, [
    ...(s.flight.count > 0 ? [s.flight.p50_ns, s.flight.p90_ns, s.flight.p99_ns, s.flight.max_ns].map(ms) : ["–", "–", "–", "–"]),
    s.period.count > 0 ? ms(s.period.p99_ns) : "–", count(s.flight.count)]));
}

function frames(v) {
  const names = { captured: "captured", inferred: "inferred", replaced: "replaced by newer", dropped: "dropped", errors: "errors" };
  return Object.entries(names).map(([k, name]) => row(name, [count(v.frames[k]), count(v.total[k])]));
}

function queues(v) {
  const t = v.telemetry;
  return `Waiting on the drone: ${count(t.alert_depth)} alert(s), ${count(t.bulk_depth)} other. ` +
    `Given up: ${count(t.dropped)}. Sent again: ${count(t.resent)}.` +
    (v.unmerged > 0 ? ` ${count(v.unmerged)} histogram(s) could not be merged.` : "");
}

// block of the statistics of a drone.
export function block(feed) {
  return () => {
    const age = el("span", { class: "age" });
    const title = el("b");
    const rate = el("span");
    const latency = el("tbody");
    const counters = el("tbody");
    const note = el("p", { class: "detail" });
    const node = el("div", { class: "stats" },
      el("p", { class: "drone-head" }, title, rate, age),
      el("table", null, el("caption", null, "Latency since start, ms"), el("thead", null, head("stage", "p50", "p90", "p99", "max", "p99 now", "n")), latency),
      el("table", null, el("caption", null, "Frames"), el("thead", null, head("", "last period", "since start")), counters), note);
    let value;
    const part = { node, value: null };
    part.tick = () => {
      const silence = feed.now() - millis(value.received);
      node.classList.toggle("old", silence > 3 * Math.max(value.period_ms, 5000));
      text(age, `reported ${duration(silence)} ago`);
    };
    part.update = (v) => {
      value = v;
      text(title, v.drone);
      text(rate, `${v.fps.toFixed(1)} frames/s inferred`);
      latency.replaceChildren(...stages(v));
      counters.replaceChildren(...frames(v));
      text(note, queues(v));
      part.tick();
    };
    return part;
  };
}
