// Measures how long an alert takes from its capture to the page of an operator: published
// with QoS 1, through the broker, to the disk of the ground station, and into the browser,
// all on loopback. Prints one JSON object, ms.

import { desktop, launch, open, Station } from "./station.mjs";

const ALERTS = Number(process.env.ALERTS ?? 200);
const WARM_UP = 20; // not counted

const station = await Station.start();
const browser = await launch();
try {
  const { page } = await open(await browser.newContext(desktop), station.url);
  await page.evaluate(watch);
  const captured = new Map();
  for (let i = 0; i < ALERTS + WARM_UP; i++) {
    captured.set(`e${i}`, await station.feed.fire(`kite-${i % 5}`, `e${i}`));
    await page.waitForFunction((event) => globalThis.shown.has(event), `e${i}`, { polling: 10 });
  }
  const shown = new Map(await page.evaluate(() => [...globalThis.shown]));
  const delays = [...captured].slice(WARM_UP).map(([event, at]) => shown.get(event) - at).sort((a, b) => a - b);
  const at = (q) => delays[Math.min(delays.length - 1, Math.ceil(q * delays.length) - 1)];
  console.log(JSON.stringify({ what: "capture to operator's page, loopback", alerts: delays.length, p50_ms: at(0.5),
    p90_ms: at(0.9), p99_ms: at(0.99), max_ms: delays.at(-1) }));
} finally {
  await browser.close();
  await station.stop();
}

// watch notes, inside the page, when the card of an event is in the document.
function watch() {
  globalThis.shown = new Map();
  new MutationObserver((changes) => {
    const now = Date.now();
    for (const node of changes.flatMap((c) => [...c.addedNodes])) {
      const event = node.dataset?.key?.split("/").at(-1);
      if (event && !globalThis.shown.has(event)) globalThis.shown.set(event, now);
    }
  }).observe(document.getElementById("waiting-list"), { childList: true });
}
