// The arithmetic of the map. World coordinates are those of web Mercator: 0..1 from west
// to east and from north to south. Around a fire it is as true to angles as a compass.

const RADIANS = Math.PI / 180;
const EARTH = 40075016.686; // circumference at the equator, m
const LIMIT = 85.0511; // latitude where web Mercator ends

const within = (lat) => Math.max(-LIMIT, Math.min(LIMIT, lat));

export function project(lat, lon) {
  const s = Math.sin(within(lat) * RADIANS);
  return { x: lon / 360 + 0.5, y: 0.5 - Math.log((1 + s) / (1 - s)) / (4 * Math.PI) };
}

export function unproject(x, y) {
  return { lat: Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) / RADIANS, lon: (x - 0.5) * 360 };
}

// metre in world coordinates at a latitude.
export const metre = (lat) => 1 / (EARTH * Math.cos(within(lat) * RADIANS));

// near is a longitude counted on beyond the date line, so that it is at most half a turn from
// another one: what lies together there is drawn together.
export const near = (lon, home) => lon + 360 * Math.round((home - lon) / 360);

// ahead is the point at a distance in a direction, degrees clockwise from north.
export function ahead(from, lat, bearing, metres) {
  const d = metres * metre(lat);
  return { x: from.x + Math.sin(bearing * RADIANS) * d, y: from.y - Math.cos(bearing * RADIANS) * d };
}

const steps = [60, 30, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0002, 0.0001];

// graticuleStep is the distance of the lines, degrees, so that they are at least so many
// degrees apart.
export const graticuleStep = (least) => steps.findLast((s) => s >= least) ?? steps[0];

// lines returns the multiples of step within a range.
export function lines(from, to, step) {
  const out = [];
  for (let i = Math.ceil(from / step); i * step <= to && out.length < 60; i++) out.push(i * step);
  return out;
}

// degrees writes a coordinate with as many digits as step needs.
export function degrees(value, step, positive, negative) {
  const v = near(value, 0); // beyond the date line it is counted the other way
  const digits = Math.max(0, Math.ceil(-Math.log10(step) - 1e-9));
  return `${Math.abs(v).toFixed(digits)}° ${Math.abs(v) < step / 2 ? "" : v > 0 ? positive : negative}`.trim();
}

// round125 is the largest of 1, 2, 5, 10, … that is not larger than v.
export function round125(v) {
  const power = 10 ** Math.floor(Math.log10(v));
  return [5, 2, 1].find((k) => k * power <= v) * power;
}
