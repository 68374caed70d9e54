// Numbers and times as operators read them.

export const score = (v) => v.toFixed(2);

export const count = (v) => v.toLocaleString("en-GB");

// latency of ns nanoseconds, without unit: milliseconds with three significant digits.
export function ms(ns) {
  const v = ns / 1e6;
  if (v >= 100) return v.toFixed(0);
  return v >= 10 ? v.toFixed(1) : v.toFixed(2);
}

// duration of milliseconds, rounded down: an age is never shown greater than it is by the text.
export function duration(millis) {
  const s = Math.max(0, Math.floor(millis / 1000));
  if (s < 120) return `${s} s`;
  if (s < 7200) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}

// delay from capture to arrival, by the clocks of both ends.
export function delay(millis) {
  if (millis < 0) return `${millis} ms: the clocks disagree`;
  return millis < 10000 ? `${millis} ms` : duration(millis);
}

const pad = (n) => String(n).padStart(2, "0");

// clock is local time of day of an RFC 3339 text, with the date when it is not today's.
export function clock(iso) {
  const t = new Date(iso);
  if (Number.isNaN(t.getTime())) return "unknown";
  const day = t.toDateString() === new Date().toDateString() ? "" : `${t.getFullYear()}-${pad(t.getMonth() + 1)}-${pad(t.getDate())} `;
  return `${day}${pad(t.getHours())}:${pad(t.getMinutes())}:${pad(t.getSeconds())}`;
}

export const millis = (iso) => new Date(iso).getTime();

const kinds = { temperature: ["celsius", "°C"], power: ["watt", "W"], frequency: ["hertz", "Hz"] };

// reading of a sensor with its unit; large values with a prefix.
export function reading(sensor) {
  const unit = Object.values(kinds).find(([name]) => name === sensor.unit)?.[1] ?? sensor.unit;
  const v = sensor.value;
  for (const [limit, prefix] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (Math.abs(v) >= limit) return `${(v / limit).toFixed(2)} ${prefix}${unit}`;
  }
  return `${Number.isInteger(v) ? v : v.toFixed(1)} ${unit}`;
}

// bytes with a decimal prefix.
export function bytes(v) {
  for (const [limit, unit] of [[1e12, "TB"], [1e9, "GB"], [1e6, "MB"], [1e3, "kB"]]) {
    if (v >= limit) return `${(v / limit).toFixed(v >= 100 * limit ? 0 : 1)} ${unit}`;
  }
  return `${v} B`;
}
