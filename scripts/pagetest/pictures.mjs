// Takes the pictures of the page for the README: node pictures.mjs DIRECTORY. The drones
// and what they report are made up, and the banner says so.

import { execFileSync } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";
import { desktop, feeder, launch, open, phone, Station } from "./station.mjs";

const directory = process.argv[2];
const LIMIT = 150_000; // bytes of one picture

const station = await Station.start("--banner", "Exercise: made-up drones, no real fire");
const browser = await launch();
try {
  await fly(station.feed);
  await take("page-alerts", desktop, "alerts", async (page) => {
    await page.locator(".card.chosen figure img").waitFor();
    await page.keyboard.press("a");
  });
  await take("page-drones", { ...desktop, colorScheme: "light" }, "drones",
    (page) => page.locator(".chart canvas").first().waitFor());
  await take("page-phone", { ...phone, colorScheme: "dark" }, "alerts",
    (page) => page.locator(".card.chosen figure img").waitFor());
} finally {
  await browser.close();
  await station.stop();
}

// take shows a view and writes it as PNG.
async function take(name, options, view, prepare) {
  const context = await browser.newContext({ ...options, reducedMotion: "reduce" });
  const { page, faults } = await open(context, `${station.url}/#${view}`);
  await report();
  await prepare(page);
  if (faults.length > 0) throw new Error(faults.join("\n"));
  await page.waitForFunction(() => [...document.images].every((i) => i.complete));
  const file = join(directory, `${name}.png`);
  await page.screenshot({ path: file });
  execFileSync(feeder, ["-shrink", file], { stdio: "inherit" });
  const { size } = statSync(file);
  if (size > LIMIT) throw new Error(`${file} takes ${size} bytes, want at most ${LIMIT}`);
  await context.close();
}

// fly lets three drones report for a while, and find something.
async function fly(feed) {
  const drones = ["kite-1", "kite-2", "kite-3"];
  for (const drone of drones) await feed.send({ do: "status", drone, state: "online" });
  for (let k = 0; k < 30; k++) {
    for (const [i, drone] of drones.entries()) {
      const turn = (k / 30) * Math.PI + i;
      await feed.send({ do: "health", drone, lat: 44.095 + 0.012 * i + 0.006 * Math.sin(turn),
        lon: 6.225 + 0.016 * i + 0.008 * Math.cos(turn), heading: (300 + 40 * i + 3 * k) % 360 });
      await feed.send({ do: "stats", drone, alert_depth: i === 2 && k > 24 ? k - 24 : 0 });
    }
    await new Promise((done) => setTimeout(done, 700)); // the charts are of real time
  }
  await feed.fire("kite-2", "late", { late_ms: 731_000, exercise: true, calibrated: 0.78 });
  await feed.send({ do: "alert", drone: "kite-2", event: "late", phase: "end", revision: 1, label: "smoke",
    late_ms: 700_000, exercise: true, calibrated: 0.78 });
  await feed.fire("kite-2", "second", { ...place(1), calibrated: 0.84, strange: true });
  await feed.fire("kite-1", "first", { ...place(0), label: "fire", calibrated: 0.97 });
  await feed.send({ do: "alert", drone: "kite-1", event: "hand", phase: "begin", label: "palm", task: "gesture" });
  await feed.send({ do: "status", drone: "kite-3", state: "offline", reason: "connection lost" });
}

// report is the sign of life that the other drones give before each picture.
async function report() {
  for (const [i, drone] of ["kite-1", "kite-2"].entries()) await station.feed.send({ do: "health", drone,
    ...place(i) });
}

// place is where drone i hovers in the end.
function place(i) {
  return { lat: 44.095 + 0.012 * i + 0.006 * Math.sin(Math.PI + i),
    lon: 6.225 + 0.016 * i + 0.008 * Math.cos(Math.PI + i), heading: (27 + 40 * i) % 360 };
}
