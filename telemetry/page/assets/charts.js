// Charts of the last minutes of one drone, drawn by uPlot. The numbers of the newest point
// are beside each chart as text.

import { get } from "./api.js";
import { el, text } from "./dom.js";
import { millis } from "./format.js";

const POINTS = 900; // kept
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// What is drawn: [title, unit, [[label, field of a point, colour, dashes]…]].
const kinds = [
  ["Capture to decision", "ms", [["p50", "decide_p50", "--gesture", []], ["p99", "decide_p99", "--fire", [6, 3]]]],
  ["Frames inferred", "/s", [["rate", "fps", "--good", []]]],
  ["Waiting on the drone", "", [["alerts", "alert_depth", "--fire", []],
    ["reports", "bulk_depth", "--gesture", [6, 3]]]],
  ["Hottest sensor", "°C", [["temperature", "celsius", "--warn", []]]],
];

export const point = (stats, health) => ({
  t: Math.round(millis(stats.received) / 1000),
  decide_p50: stage(stats)?.p50_ns / 1e6, decide_p99: stage(stats)?.p99_ns / 1e6,
  fps: stats.fps, alert_depth: stats.telemetry.alert_depth, bulk_depth: stats.telemetry.bulk_depth,
  celsius: hottest(health),
});

const stage = (stats) => stats.stages.find((s) => s.name === "capture-decision" && s.period.count > 0)?.period;

function hottest(health) {
  const all = (health?.sensors ?? []).filter((s) => s.unit === "celsius").map((s) => s.value);
  return all.length > 0 ? Math.max(...all) : null;
}

function options(width, unit, lines) {
  const axis = { stroke: style("--dim"), grid: { stroke: style("--rule"), width: 1 }, ticks: { show: false },
    font: "12px system-ui, sans-serif" };
  return {
    width, height: 130, legend: { show: false }, cursor: { y: false, drag: { x: false, y: false } },
    axes: [{ ...axis, space: 80, size: 28, values: (_, times) => times.map(timeOfDay) }, { ...axis, size: 48 }],
    scales: { x: { time: true }, y: { range: (_, low, high) => [Math.min(0, low ?? 0), Math.max(high ?? 0, 1) * 1.1] } },
    series: [{}, ...lines.map(([label, , colour, dash]) => ({ label, stroke: style(colour), width: 2, dash,
      points: { show: false }, unit }))],
  };
}

// Charts of a drone.
export class Charts {
  constructor(key) {
    this.key = key;
    this.points = [];
    this.node = el("div", { class: "charts" });
    this.parts = kinds.map(([title, unit, lines]) => {
      const now = el("span", { class: "chart-now" });
      const area = el("div", { class: "chart-area", "aria-hidden": "true" });
      this.node.append(el("figure", { class: "chart" }, el("figcaption", null, el("b", null, title), now), area));
      return { unit, lines, now, area, plot: null };
    });
    this.load();
  }

  async load() {
    try {
      const { points } = await get("series", { drone: this.key });
      const first = this.points[0]?.t ?? Infinity;
      this.points = [...points.filter((p) => p.t < first), ...this.points];
    } catch {
      // What was missed while the page was closed stays missing; new points arrive anyway.
    }
    this.draw();
  }

  add(p) {
    if (this.points.at(-1)?.t >= p.t) return;
    this.points.push(p);
    if (this.points.length > POINTS) this.points.shift();
    this.draw();
  }

  draw() {
    for (const part of this.parts) this.drawPart(part);
  }

  drawPart(part) {
    const values = part.lines.map(([, field]) => this.points.map((p) => p[field] ?? null));
    const data = [this.points.map((p) => p.t), ...values];
    const newest = this.points.at(-1);
    const words = ([label, field]) => `${label} ${number(newest[field])} ${part.unit}`;
    text(part.now, newest ? part.lines.map(words).join(" · ") : "no data yet");
    const width = part.area.clientWidth;
    if (width === 0) return;
    if (!part.plot || part.width !== width || part.theme !== style("--ink")) {
      part.plot?.destroy();
      part.width = width;
      part.theme = style("--ink");
      part.plot = new window.uPlot(options(width, part.unit, part.lines), data, part.area);
    } else {
      part.plot.setData(data);
    }
  }
}

const number = (v) => (v === null || v === undefined ? "–" : v >= 100 || Number.isInteger(v) ? v.toFixed(0) : v.toFixed(1));

// timeOfDay of seconds since 1970.
function timeOfDay(seconds) {
  return new Date(1000 * seconds).toTimeString().slice(0, 8);
}
