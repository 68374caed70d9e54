// Reads Mapbox vector tiles, version 2: areas and lines as SVG path data in the tile's own
// coordinates scaled to 0..4096. Names and other points are left out.

const known = new Set(["earth", "landcover", "landuse", "natural", "water", "roads", "transit", "buildings",
  "boundaries", "transportation", "waterway", "building", "boundary", "park"]);

class Reader {
  constructor(bytes, at = 0, end = bytes.length) {
    Object.assign(this, { bytes, at, end });
  }

  varint() {
    let value = 0;
    for (let factor = 1; this.at < this.end; factor *= 128) {
      const b = this.bytes[this.at++];
      value += (b & 127) * factor;
      if (b < 128) return value;
    }
    throw new Error("tile ends in the middle of a number");
  }

  part() {
    const length = this.varint();
    const start = this.at;
    if (start + length > this.end) throw new Error("tile ends in the middle of a part");
    this.at += length;
    return new Reader(this.bytes, start, start + length);
  }

  // fields calls visit(number, value) for each field: a Reader for parts, else a number.
  fields(visit) {
    while (this.at < this.end) {
      const key = this.varint();
      const kind = key & 7;
      if (kind === 0) visit(key >>> 3, this.varint());
      else if (kind === 2) visit(key >>> 3, this.part());
      else if (kind === 1 || kind === 5) this.at += kind === 1 ? 8 : 4;
      else throw new Error(`tile has a field of kind ${kind}`);
    }
  }

  text() {
    return new TextDecoder().decode(this.bytes.subarray(this.at, this.end));
  }

  numbers() {
    const out = [];
    while (this.at < this.end) out.push(this.varint());
    return out;
  }
}

// paths returns [{layer, kind: "area" or "line", d}…], one a layer and kind.
export function paths(bytes) {
  const out = [];
  new Reader(bytes).fields((field, part) => {
    if (field === 3) out.push(...layer(part));
  });
  return out;
}

function layer(reader) {
  let name = "";
  let extent = 4096;
  const features = [];
  reader.fields((field, value) => {
    if (field === 1) name = value.text();
    else if (field === 2) features.push(feature(value));
    else if (field === 5) extent = value;
  });
  if (!known.has(name)) return [];
  const draw = (type, kind) => {
    const d = features.filter((f) => f.type === type).map((f) => commands(f.geometry, 4096 / extent)).join("");
    return d ? [{ layer: name, kind, d }] : [];
  };
  return [...draw(3, "area"), ...draw(2, "line")];
}

function feature(reader) {
  const f = { type: 0, geometry: [] };
  reader.fields((field, value) => {
    if (field === 3) f.type = value;
    else if (field === 4) f.geometry = value.numbers();
  });
  return f;
}

const signed = (v) => (v >>> 1) ^ -(v & 1);

// commands turns a geometry into SVG path data.
function commands(geometry, scale) {
  let d = "";
  let x = 0;
  let y = 0;
  for (let i = 0; i < geometry.length;) {
    const command = geometry[i] & 7;
    const times = geometry[i++] >>> 3;
    if (command === 7) {
      d += "Z";
      continue;
    }
    for (let n = 0; n < times && i + 1 < geometry.length; n++) {
      x += signed(geometry[i++]);
      y += signed(geometry[i++]);
      d += `${command === 1 ? "M" : "L"}${Math.round(x * scale)} ${Math.round(y * scale)}`;
    }
  }
  return d;
}
