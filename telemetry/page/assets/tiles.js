// The background of the map, from the tile file that the ground station was given:
// pictures as they are, vector tiles as plain lines and areas.

import { svg } from "./dom.js";
import { paths } from "./mvt.js";

const KEEP = 120; // tiles

export class Tiles {
  constructor(layer, changed) {
    this.layer = layer;
    this.changed = changed;
    this.cache = new Map(); // "z/x/y" to a node, or null where there is none
    this.credit = "";
  }

  // use begins with the tiles that hello describes: {kind, min, max, credit}.
  use(info) {
    if (!info || this.info) return;
    this.info = info;
    this.credit = info.credit;
    this.changed();
  }

  draw(view, width, height) {
    if (!this.info) return;
    const z = Math.max(this.info.min, Math.min(this.info.max, Math.round(Math.log2(view.scale / 256))));
    const n = 2 ** z;
    const size = view.scale / n;
    if (size > 4096 || width / size > 16) return this.layer.replaceChildren();
    const shown = [];
    const west = Math.floor((view.x - width / 2 / view.scale) * n);
    const east = Math.floor((view.x + width / 2 / view.scale) * n);
    for (let x = west; x <= east; x++) {
      const column = ((x % n) + n) % n; // the world goes on beyond the date line
      if (column !== x && column >= west && column <= east) continue; // it is in view where it belongs
      for (let y = Math.floor((view.y - height / 2 / view.scale) * n); y <= (view.y + height / 2 / view.scale) * n; y++) {
        const node = y >= 0 && y < n && this.tile(z, column, y);
        if (!node) continue;
        const left = (x / n - view.x) * view.scale + width / 2;
        const top = (y / n - view.y) * view.scale + height / 2;
        node.setAttribute("transform", `translate(${left} ${top}) scale(${size / 4096})`);
        shown.push(node);
      }
    }
    this.layer.replaceChildren(...shown);
  }

  // tile returns the node of a tile, null while it is not here.
  tile(z, x, y) {
    const key = `${z}/${x}/${y}`;
    if (this.cache.has(key)) return this.cache.get(key);
    this.cache.set(key, null);
    if (this.cache.size > KEEP) this.cache.delete(this.cache.keys().next().value);
    if (this.info.kind === "vector") {
      this.fetch(key);
      return null;
    }
    const node = svg("image", { href: `tiles/${key}`, width: 4096, height: 4096, preserveAspectRatio: "none" });
    this.cache.set(key, node);
    return node;
  }

  async fetch(key) {
    try {
      const response = await fetch(`tiles/${key}`);
      if (!response.ok) return;
      const parts = paths(new Uint8Array(await response.arrayBuffer()));
      this.cache.set(key, svg("g", { class: "map-tile" },
        parts.map(({ layer, kind, d }) => svg("path", { d, class: `map-${kind} map-layer-${layer}` }))));
      this.changed();
    } catch {
      this.cache.delete(key); // is asked for again when the map moves
    }
  }
}

