// The map needs neither the internet nor a file: a graticule, the tracks of the drones,
// what their cameras see, and where something was found, with its uncertainty. A tile file
// that the ground station was given lies underneath.

import { el, svg, text } from "./dom.js";
import { name } from "./evidence.js";
import { link } from "./drones.js";
import { ahead, degrees, graticuleStep, lines, metre, near, project, round125, unproject } from "./mercator.js";
import { Tiles } from "./tiles.js";

const CONE = 400; // m that a camera's cone is drawn long
const SIGHT = 2000; // m that the line to something found is drawn long
const ROOM = 52; // px around what is shown
const CLOSEST = 2 ** 19; // px of the world at most zoomed in, times 256
const GRATICULE = 90; // px between two lines at least

const tones = { live: "good", late: "warn", silent: "bad", offline: "bad", unknown: "plain" };

export class MapView {
  // page has the feed and choose(key).
  constructor(node, page) {
    this.page = page;
    this.tracks = new Map(); // drone to [{lat, lon}…]
    this.view = { x: 0.5, y: 0.5, scale: 512 }; // middle in world coordinates, px of the world
    this.home = null; // longitude around which the world is unrolled: of the first thing that was shown
    this.follow = true; // until somebody moves the map
    this.layers = Object.fromEntries(["tiles", "graticule", "sights", "cones", "tracks", "events", "drones",
      "labels"].map((k) => [k, svg("g", { class: `map-${k}` })]));
    this.svg = svg("svg", { class: "map", tabindex: "0", role: "img", "aria-label": "Map" },
      Object.values(this.layers));
    this.note = el("p", { class: "map-note" });
    this.credit = el("span", { class: "map-credit" });
    this.scale = el("span", { class: "map-scale" });
    node.append(el("div", { class: "map-frame" }, this.svg, this.buttons(), this.scale, this.credit), this.note);
    this.tiles = new Tiles(this.layers.tiles, () => this.draw());
    this.listen();
    new ResizeObserver(() => this.draw()).observe(this.svg);
  }

  buttons() {
    const button = (label, sign, act) => {
      const b = el("button", { type: "button", "aria-label": label, title: label }, sign);
      b.addEventListener("click", act);
      return b;
    };
    return el("div", { class: "map-buttons" }, button("Zoom in", "+", () => this.zoom(2)),
      button("Zoom out", "−", () => this.zoom(0.5)),
      button("Show everything", "⤢", () => this.fit()));
  }

  listen() {
    this.svg.addEventListener("pointerdown", (e) => this.grab(e));
    this.svg.addEventListener("pointermove", (e) => this.drag(e));
    for (const kind of ["pointerup", "pointercancel"]) this.svg.addEventListener(kind, () => (this.grabbed = null));
    this.svg.addEventListener("wheel", (e) => {
      if (!e.ctrlKey && document.activeElement !== this.svg) return; // scrolls the page
      e.preventDefault();
      this.zoom(2 ** (-e.deltaY / 300), e.offsetX, e.offsetY);
    }, { passive: false });
    this.svg.addEventListener("keydown", (e) => this.onKey(e));
  }

  onKey(e) {
    const move = { ArrowLeft: [-60, 0], ArrowRight: [60, 0], ArrowUp: [0, -60], ArrowDown: [0, 60] }[e.key];
    if (move) this.pan(...move);
    else if (e.key === "+" || e.key === "=") this.zoom(2);
    else if (e.key === "-") this.zoom(0.5);
    else if (e.key === "0") this.fit();
    else return;
    e.preventDefault();
    e.stopPropagation();
  }

  grab(e) {
    if (e.button !== 0) return;
    this.grabbed = { x: e.clientX, y: e.clientY };
    this.svg.setPointerCapture(e.pointerId);
  }

  drag(e) {
    if (!this.grabbed) return;
    this.pan(this.grabbed.x - e.clientX, this.grabbed.y - e.clientY);
    this.grabbed = { x: e.clientX, y: e.clientY };
  }

  pan(dx, dy) {
    this.follow = false;
    this.view.x += dx / this.view.scale;
    this.view.y += dy / this.view.scale;
    this.draw();
  }

  zoom(by, x = this.width / 2, y = this.height / 2) {
    this.follow = false;
    const v = this.view;
    const scale = Math.max(256, Math.min(256 * CLOSEST, v.scale * by));
    v.x += (x - this.width / 2) * (1 / v.scale - 1 / scale);
    v.y += (y - this.height / 2) * (1 / v.scale - 1 / scale);
    v.scale = scale;
    this.draw();
  }

  fit() {
    this.follow = true;
    this.draw();
  }

  // track adds a position of a drone.
  track(key, p) {
    const track = this.tracks.get(key) ?? [];
    const last = track.at(-1);
    if (!last || last.lat !== p.lat || last.lon !== p.lon) track.push({ lat: p.lat, lon: p.lon });
    if (track.length > 500) track.shift();
    this.tracks.set(key, track);
  }

  forget() {
    this.tracks.clear();
  }

  // show takes what lies on the map: drones and events by key.
  show(drones, events) {
    this.drones = drones.filter(([, v]) => v.position);
    this.events = events.filter(([, v]) => v.evidence.position);
    this.home ??= this.drones[0]?.[1].position.lon ?? this.events[0]?.[1].evidence.position.lon ?? null;
    this.draw();
  }

  draw() {
    if (this.due) return;
    this.due = true;
    requestAnimationFrame(() => {
      this.due = false;
      this.paint();
    });
  }

  paint() {
    this.width = this.svg.clientWidth;
    this.height = this.svg.clientHeight;
    if (!this.drones || this.width === 0) return;
    if (this.follow) this.frame();
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
    const empty = this.drones.length + this.events.length === 0;
    text(this.note, empty ? "No drone and no alert has said where it is." : "");
    this.svg.setAttribute("aria-label",
      `Map: ${this.drones.length} drone(s) and ${this.events.length} alert(s) with a position. Arrow keys move, + and − zoom, 0 shows everything.`);
    this.tiles.draw(this.view, this.width, this.height);
    text(this.credit, this.tiles.credit);
    this.layers.graticule.replaceChildren(...this.graticule());
    this.layers.tracks.replaceChildren(...[...this.tracks.values()].map((t) => this.trackLine(t)));
    this.layers.cones.replaceChildren(...this.drones.map(([, v]) => this.cone(v)).filter(Boolean));
    this.layers.sights.replaceChildren(...this.events.map(([, v]) => this.sight(v)).filter(Boolean));
    this.layers.events.replaceChildren(...this.events.map(([key, v]) => this.event(key, v)));
    this.layers.drones.replaceChildren(...this.drones.map(([key, v]) => this.drone(key, v)));
    this.scaleBar();
  }

  // frame moves the view so that everything is in it.
  frame() {
    const points = [...this.drones.map(([, v]) => v.position), ...this.events.map(([, v]) => v.evidence.position),
      ...[...this.tracks.values()].flat()];
    if (points.length === 0) return;
    const around = points.flatMap((p) => {
      const at = this.world(p);
      const r = Math.max(300, p.uncertainty_m ?? 0) * metre(p.lat);
      return [{ x: at.x - r, y: at.y - r }, { x: at.x + r, y: at.y + r }];
    });
    const [left, right] = range(around.map((p) => p.x));
    const [top, bottom] = range(around.map((p) => p.y));
    const scale = Math.min((this.width - 2 * ROOM) / (right - left), (this.height - 2 * ROOM) / (bottom - top));
    this.view = { x: (left + right) / 2, y: (top + bottom) / 2, scale: Math.max(256, Math.min(256 * CLOSEST, scale)) };
  }

  // at is where a point of the world lies on the screen.
  at(p) {
    return { x: (p.x - this.view.x) * this.view.scale + this.width / 2,
      y: (p.y - this.view.y) * this.view.scale + this.height / 2 };
  }

  // world is where a position lies in world coordinates.
  world(p) {
    return project(p.lat, near(p.lon, this.home ?? 0));
  }

  place(p) {
    return this.at(this.world(p));
  }

  graticule() {
    const { x, y, scale } = this.view;
    const northWest = unproject(x - this.width / 2 / scale, y - this.height / 2 / scale);
    const southEast = unproject(x + this.width / 2 / scale, y + this.height / 2 / scale);
    const step = graticuleStep((GRATICULE / scale) * 360);
    const out = [];
    for (const lon of lines(northWest.lon, southEast.lon, step)) {
      const px = this.at(project(0, lon)).x.toFixed(1);
      out.push(svg("line", { x1: px, x2: px, y1: 0, y2: this.height }),
        svg("text", { x: Number(px) + 3, y: this.height - 4 }, degrees(lon, step, "E", "W")));
    }
    for (const lat of lines(southEast.lat, northWest.lat, step)) {
      const py = this.at(project(lat, 0)).y.toFixed(1);
      out.push(svg("line", { y1: py, y2: py, x1: 0, x2: this.width }),
        svg("text", { x: 4, y: Number(py) - 3 }, degrees(lat, step, "N", "S")));
    }
    return out;
  }

  trackLine(points) {
    return svg("polyline", { class: "map-track", points: points.map((p) => pair(this.place(p))).join(" ") });
  }

  // cone is what a camera sees.
  cone(v) {
    const view = v.view;
    if (!view || view.fov_deg <= 0) return null;
    const from = this.world(v.position);
    const rim = Array.from({ length: 9 }, (_, i) => this.at(ahead(from, v.position.lat,
      view.heading_deg + view.fov_deg * (i / 8 - 0.5), CONE)));
    return svg("polygon", { class: "map-cone", points: [this.at(from), ...rim].map(pair).join(" ") });
  }

  // sight is the line from the drone to what it found.
  sight(v) {
    const { position: p, view } = v.evidence;
    if (!view) return null;
    const from = this.world(p);
    const [a, b] = [this.at(from), this.at(ahead(from, p.lat, view.bearing_deg, SIGHT))];
    return svg("line", { class: `map-sight tone-${v.task}`, x1: a.x, y1: a.y, x2: b.x, y2: b.y });
  }

  event(key, v) {
    const p = v.evidence.position;
    const at = this.place(p);
    const radius = p.uncertainty_m * metre(p.lat) * this.view.scale;
    const g = svg("g", { class: `map-event tone-${v.task}`, "data-key": key },
      svg("circle", { class: "map-uncertainty", cx: at.x, cy: at.y, r: Math.max(radius, 2) }),
      svg("path", { d: `M${at.x} ${at.y - 9}L${at.x + 8} ${at.y + 6}H${at.x - 8}Z` }), svg("title", null,
        `${name(v)}, ${v.drone}`));
    g.addEventListener("click", () => this.page.choose(key, false));
    return g;
  }

  drone(key, v) {
    const at = this.place(v.position);
    const heading = v.view?.heading_deg ?? 0;
    const state = link(v, this.page.feed.now());
    return svg("g", { class: `map-drone tone-${tones[state]}`, "data-drone": key },
      svg("path", { d: "M0 -8L6 7L0 4L-6 7Z",
        transform: `translate(${at.x.toFixed(1)} ${at.y.toFixed(1)}) rotate(${heading.toFixed(0)})` }),
      svg("text", { x: at.x + 10, y: at.y + 4 }, state === "live" ? v.drone : `${v.drone} (${state})`));
  }

  scaleBar() {
    const { lat } = unproject(this.view.x, this.view.y);
    const perPixel = 1 / (metre(lat) * this.view.scale);
    const length = round125(perPixel * 110);
    this.scale.style.width = `${length / perPixel}px`;
    text(this.scale, length >= 1000 ? `${length / 1000} km` : `${length} m`);
  }
}

const range = (values) => [Math.min(...values), Math.max(...values)];
const pair = (p) => `${p.x.toFixed(1)},${p.y.toFixed(1)}`;
