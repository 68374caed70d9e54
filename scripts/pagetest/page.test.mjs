// Tests of the live page in a real browser, against a real ground station.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test as run } from "node:test";
import { axe, certificate, desktop, launch, open, phone, Station, strict } from "./station.mjs";

const waits = (page, event) => page.locator(`#waiting-list .card[data-key$="/${event}"]`);

let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

// withStation gives each group a station of its own.
function withStation(...flags) {
  const own = {};
  before(async () => (own.station = await Station.start(...flags)));
  after(() => own.station?.stop());
  return own;
}

// test runs a test, and when it fails says what its pages showed.
const test = (name, check) => run(name, async (t) => {
  try {
    await check(t);
  } catch (err) {
    for (const page of browser.contexts().flatMap((context) => context.pages())) t.diagnostic(await shown(page));
    throw err;
  }
});

async function shown(page) {
  const words = await page.locator("body").innerText({ timeout: 2000 }).catch((err) => err.message);
  return `${page.url()} showed: ${words.replace(/\s+/g, " ").slice(0, 4000)}`;
}

async function newPage(t, url, options = desktop) {
  const context = await browser.newContext(options);
  t.after(() => context.close());
  const opened = await open(context, url);
  t.after(() => assert.deepEqual(opened.faults, []));
  return { ...opened, context };
}

describe("alerts", () => {
  const own = withStation();

  test("an alert appears within a second, with the reason", async (t) => {
    const { page } = await newPage(t, own.station.url);
    const seen = waits(page, "e1").waitFor({ timeout: 5000 }).then(() => Date.now());
    const captured = await own.station.feed.fire("kite-1", "e1", { strange: true });
    const delay = (await seen) - captured;
    assert.ok(delay < 1000, `it took ${delay} ms`);
    const card = waits(page, "e1");
    for (const words of ["7 of 8 agree", "0.91 against threshold 0.62", "unlike what the model was trained on",
      "runs as fp32 on cpu", "3.4 % of the frame"]) {
      await card.getByText(words).waitFor({ timeout: 2000 });
    }
    await page.waitForFunction(() => document.querySelector("#waiting-list .chosen figure img")?.naturalWidth === 320);
    assert.match(await page.title(), /^\(1\) /);
  });

  test("late and exercise are said plainly", async (t) => {
    const { page } = await newPage(t, own.station.url);
    await own.station.feed.fire("kite-1", "late", { late_ms: 700000, exercise: true });
    const card = waits(page, "late");
    await card.getByText(/LATE by 11 min/).waitFor();
    await card.getByText("EXERCISE", { exact: true }).waitFor();
  });

  test("the keyboard alone answers an alert", async (t) => {
    const { page } = await newPage(t, own.station.url);
    await own.station.feed.fire("kite-2", "keys");
    await waits(page, "keys").waitFor();
    for (let i = 0; i < 10 && !(await focusedKey(page)).endsWith("/keys"); i++) await page.keyboard.press("j");
    assert.ok((await focusedKey(page)).endsWith("/keys"), "j does not reach the alert");
    await page.keyboard.press("a");
    await page.locator(".verdict:visible button[data-verdict]:focus").waitFor();
    await page.keyboard.press("Escape");
    assert.ok((await focusedKey(page)).endsWith("/keys"), "Escape does not lead back");
    await page.keyboard.press("a");
    await page.keyboard.press("3");
    await waits(page, "keys").waitFor({ state: "detached" });
    assert.notEqual(await page.evaluate(() => document.activeElement.tagName), "BODY", "the focus got lost");
    const [event] = await history(page, { text: "keys" });
    assert.equal(event.ack.verdict, "cloud");
    await page.reload();
    await page.locator("#feed[data-state=live]").waitFor();
    assert.equal(await waits(page, "keys").count(), 0);
  });

  test("the mouse answers too, and a refusal is shown", async (t) => {
    const { page } = await newPage(t, own.station.url);
    await own.station.feed.fire("kite-2", "mouse");
    await waits(page, "mouse").waitFor();
    if (!(await waits(page, "mouse").and(page.locator(".chosen")).count())) await waits(page,
      "mouse").locator(".card-head").click();
    await waits(page, "mouse").getByRole("button", { name: /^Answer/ }).click();
    await page.route("**/acknowledge", (route) => route.abort());
    await waits(page, "mouse").getByRole("button", { name: /Dust/ }).click();
    await waits(page, "mouse").getByText(/cannot be reached/).waitFor();
    await page.unroute("**/acknowledge");
    await waits(page, "mouse").getByLabel("Your name").fill("Ada");
    await waits(page, "mouse").getByRole("button", { name: /Dust/ }).click();
    await waits(page, "mouse").waitFor({ state: "detached" });
    await page.locator("#answered-list").getByText(/^Dust, by Ada$/).waitFor();
  });

  test("an answer in one tab shows in the other", async (t) => {
    const { page, context } = await newPage(t, own.station.url);
    const other = await open(context, own.station.url);
    await own.station.feed.fire("kite-2", "tabs");
    await Promise.all([waits(page, "tabs").waitFor(), waits(other.page, "tabs").waitFor()]);
    await waits(page, "tabs").focus();
    await page.keyboard.press("a");
    await page.keyboard.press("1");
    await waits(other.page, "tabs").waitFor({ state: "detached" });
    assert.deepEqual(other.faults, []);
  });

  test("an answer that came meanwhile is not replaced unseen", async (t) => {
    const { page } = await newPage(t, own.station.url);
    await own.station.feed.fire("kite-2", "race");
    await page.goto(`${own.station.url}/#history`);
    const line = page.locator('#history-list li').filter({ hasText: "waits for an answer" }).first();
    await line.locator("summary").click();
    await line.getByRole("button", { name: /^Answer/ }).click();
    const [event] = await history(page, { text: "race" });
    const answered = await fetch(`${own.station.url}/api/v1/events/${event.id}/acknowledge`, { method: "POST",
      headers: { "Content-Type": "application/json" }, body: JSON.stringify({ verdict: "dust", operator: "Bob" }) });
    assert.equal(answered.status, 200);
    const shown = page.locator("#history-list li").filter({ hasText: "by Bob" }).first();
    await shown.getByText(/Dust/).first().waitFor();
    await page.keyboard.press("1");
    await shown.getByText(/was not answered.*acknowledged already by Bob/).waitFor();
    const [after] = await history(page, { text: "race" });
    assert.equal(after.ack.verdict, "dust");
  });

  test("hostile text stays text", async (t) => {
    const { page } = await newPage(t, own.station.url);
    const label = "<img src=x onerror=document.title='owned'>";
    await own.station.feed.fire("kite-2", "hostile", { label });
    await waits(page, "hostile").getByText(label).first().waitFor();
    assert.doesNotMatch(await page.title(), /owned/);
  });
});

const focusedKey = (page) => page.evaluate(() => document.activeElement?.dataset?.key ?? "");
const history = async (page,
  query) => (await (await page.request.get(`/history?${new URLSearchParams(query)}`.replace(/^/,
    new URL(page.url()).origin))).json()).events;

describe("loss", () => {
  const own = withStation();

  test("reload, lost connection and a killed station lose nothing", async (t) => {
    const { page, context } = await newPage(t, own.station.url);
    const { feed } = own.station;
    await feed.fire("kite-1", "before");
    await waits(page, "before").waitFor();

    await context.setOffline(true);
    await feed.fire("kite-1", "offline");
    await context.setOffline(false);
    await waits(page, "offline").waitFor({ timeout: 15000 });

    await page.reload();
    await waits(page, "before").waitFor();
    await waits(page, "offline").waitFor();

    await own.station.kill();
    const sent = feed.fire("kite-1", "while-dead"); // comes through once the broker is back
    await own.station.up();
    await sent;
    await waits(page, "while-dead").waitFor({ timeout: 15000 });
    const keys = await page.locator("#waiting-list .card").evaluateAll((cards) => cards.map((c) => c.dataset.key.split("/").at(-1)).sort());
    assert.deepEqual(keys, ["before", "offline", "while-dead"]);
    assert.equal((await history(page, {})).length, 3);
  });

  test("a station that is away is said, and that a drone is silent", async (t) => {
    const { page } = await newPage(t, own.station.url);
    const { feed } = own.station;
    await feed.send({ do: "status", drone: "kite-9", state: "online" });
    await feed.send({ do: "health", drone: "kite-9", alert_depth: 4 });
    const row = page.locator('#link-list [data-drone="valley/kite-9"]');
    await row.getByText("4 ALERTS WAIT").waitFor();
    const first = await row.locator(".age").textContent();
    await page.waitForFunction((was) => document.querySelector('#link-list [data-drone="valley/kite-9"] .age').textContent !== was, first);
    await feed.send({ do: "status", drone: "kite-9", state: "offline", reason: "connection lost" });
    await row.getByText("offline: connection lost").waitFor();
    await feed.send({ do: "alert", drone: "kite-9", event: "gone", phase: "begin", label: "smoke", hold: true });
    await feed.fire("kite-9", "next");
    await own.station.kill();
    await page.locator("#feed").getByText(/FEED LOST/).waitFor({ timeout: 15000 });
    await own.station.up();
    await page.locator("#feed[data-state=live]").waitFor({ timeout: 15000 });
  });

  test("a gap in the alerts of a drone is shown", async (t) => {
    const { page } = await newPage(t, own.station.url);
    const { feed } = own.station;
    await feed.fire("kite-8", "one");
    await feed.fire("kite-8", "two", { hold: true });
    await feed.fire("kite-8", "three");
    await page.locator('#link-list [data-drone="valley/kite-8"]').getByText(/1 earlier alert of this drone has not arrived/).waitFor();
  });
});

// listen counts the sounds that a page makes.
const listen = (page) => page.evaluate(() => {
  globalThis.chimes = 0;
  document.addEventListener("chime", () => globalThis.chimes++);
});
const chimes = (page) => page.evaluate(() => globalThis.chimes);

describe("sound", () => {
  const own = withStation();

  test("once for an event, in one tab, not again after a reload", async (t) => {
    const { page, context } = await newPage(t, own.station.url);
    const other = (await open(context, own.station.url)).page;
    for (const p of [page, other]) {
      await listen(p);
      await p.locator("#sound").click();
      await p.locator("#sound", { hasText: "Sound on" }).waitFor();
    }
    const total = async () => (await chimes(page)) + (await chimes(other));
    const heard = async (event, want) => {
      await own.station.feed.fire("kite-1", event);
      await Promise.all([waits(page, event).waitFor(), waits(other, event).waitFor()]);
      while ((await total()) < want) await page.waitForTimeout(20);
      await page.waitForTimeout(400); // in which a second sound would come
      assert.equal(await total(), want, `${event}: sounds`);
    };
    await heard("s1", 1);
    await own.station.feed.send({ do: "alert", drone: "kite-1", event: "s1", phase: "update", revision: 1,
      label: "smoke" });
    await heard("s2", 2);
    const before = await chimes(other);
    await page.reload();
    await page.locator("#feed[data-state=live]").waitFor();
    await listen(page);
    await page.locator("#sound").click();
    await page.locator("#sound", { hasText: "Sound on" }).waitFor();
    await heard("s3", before + 1);
  });

  test("no sound before somebody asked for it", async (t) => {
    const { page } = await newPage(t, own.station.url);
    await listen(page);
    await own.station.feed.fire("kite-1", "s4");
    await waits(page, "s4").waitFor();
    assert.equal(await chimes(page), 0);
    assert.equal(await page.locator("#sound").getAttribute("data-needed"), "true");
  });
});

describe("access", () => {
  const own = withStation();
  before(async () => {
    const { feed } = own.station;
    for (const drone of ["kite-1", "kite-2"]) {
      await feed.send({ do: "status", drone, state: drone === "kite-1" ? "online" : "offline",
        reason: "connection lost" });
      await feed.send({ do: "health", drone, lat: 44.1, lon: 6.2, heading: 40,
        alarm: "camera stalled: check the ribbon cable" });
      await feed.send({ do: "stats", drone });
    }
    await feed.fire("kite-1", "a1", { lat: 44.1, lon: 6.2, heading: 40, strange: true });
    await feed.fire("kite-1", "a2", { late_ms: 700000, exercise: true });
    await feed.send({ do: "alert", drone: "kite-1", event: "g1", phase: "begin", label: "palm", task: "gesture" });
  });

  for (const [size, options] of Object.entries({ desktop, phone })) {
    for (const colorScheme of ["dark", "light"]) {
      test(`axe finds nothing: ${size}, ${colorScheme}`, async (t) => {
        const { page } = await newPage(t, own.station.url, { ...options, colorScheme, reducedMotion: "reduce" });
        await waits(page, "a2").waitFor();
        for (const view of ["alerts", "answer", "history", "drones", "help"]) {
          await show(page, view);
          assert.deepEqual(await violations(page), [], view);
          const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          assert.ok(wide <= 0, `${view} is ${wide} px too wide`);
        }
      });
    }
  }

  test("the map shows drones, cones and where something was seen", async (t) => {
    const { page } = await newPage(t, own.station.url);
    for (const what of [".map-drone", ".map-cone", ".map-event .map-uncertainty", ".map-sight",
      ".map-graticule text"]) {
      await page.locator(`.map ${what}`).first().waitFor({ state: "attached" });
    }
    assert.equal(await page.locator(".map .map-drone").count(), 2);
  });

  test("the arithmetic of the map and of link ages holds at the edges", async (t) => {
    const { page } = await newPage(t, own.station.url);
    const got = await page.evaluate(async () => {
      const { degrees, metre, near, project } = await import("/assets/mercator.js");
      const { lastWord, link } = await import("/assets/drones.js");
      const now = Date.parse("2026-05-04T03:02:01Z");
      const heard = (ms) => ({ state: "online", period_ms: 1000, heard: new Date(now - ms).toISOString() });
      return {
        apart: Math.abs(project(0, near(-179.99, 179.99)).x - project(0, 179.99).x) * 360, // degrees
        same: near(7, 8), label: degrees(180.5, 0.1, "E", "W"),
        pole: Number.isFinite(metre(90)) && metre(90) < metre(0) * 20,
        links: [1000, 8000, 60000, -1000, -86400000].map((ms) => link(heard(ms), now)),
        words: lastWord(heard(-86400000), now),
      };
    });
    assert.ok(Math.abs(got.apart - 0.02) < 1e-6, `two drones at the date line are ${got.apart} degrees apart`);
    delete got.apart;
    assert.deepEqual(got, { same: 7, label: "179.5° W", pole: true,
      links: ["live", "late", "silent", "live", "silent"],
      words: "no word since the clock of the station was set back" });
  });

  test("the history is searched and the charts are drawn", async (t) => {
    const { page } = await newPage(t, `${own.station.url}/#history`);
    await page.locator("#history-list li").nth(2).waitFor();
    const focused = await page.evaluate(() => { // at once: the next letters would be other keys
      location.hash = "alerts";
      document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "/", bubbles: true }));
      return document.activeElement.id;
    });
    assert.equal(focused, "search-text");
    await page.keyboard.type("palm");
    await page.waitForFunction(() => document.querySelectorAll("#history-list li").length === 1);
    await page.goto(`${own.station.url}/#drones`);
    await page.locator(".chart canvas").first().waitFor();
    await page.locator("#detail-body").getByText("check the ribbon cable").waitFor();
  });

  test("what changes while the history is on its way is in it", async (t) => {
    const { page } = await newPage(t, own.station.url);
    const { feed } = own.station;
    await feed.fire("kite-h", "h-before");
    await waits(page, "h-before").waitFor();
    await page.route(/\/history\?/, async (route) => {
      const answer = await route.fetch();
      await feed.fire("kite-h", "h-meanwhile");
      await page.locator('#waiting-list .card[data-key$="/h-meanwhile"]').waitFor({ state: "attached" });
      await route.fulfill({ response: answer });
    }, { times: 1 });
    await page.goto(`${own.station.url}/#history`);
    const lines = page.locator("#history-list li", { hasText: "kite-h" });
    await lines.nth(1).waitFor();
    assert.equal(await lines.count(), 2);
  });

  test("older events come a page at a time", async (t) => {
    for (let i = 0; i < 60; i++) await own.station.feed.fire("kite-3", `many-${i}`, { exercise: true });
    const { page } = await newPage(t, `${own.station.url}/#history`);
    await page.waitForFunction(() => document.querySelectorAll("#history-list li").length >= 50);
    await page.getByRole("button", { name: "Older" }).click();
    await page.locator("#history-note").getByText("all that match").waitFor();
    assert.equal(await page.locator("#history-list li", { hasText: "kite-3" }).count(), 60);
  });
});

describe("commands", () => {
  const own = withStation("--command-expiry", "2s");
  const orders = (scope) => scope.locator(".orders li");
  const obey = async (drone) => {
    const { key } = await (await fetch(`${own.station.url}/api/v1/station`)).json();
    await own.station.feed.send({ do: "obey", drone, key });
    await own.station.feed.send({ do: "health", drone, lat: 44.1, lon: 6.2, heading: 40 });
  };

  test("a threshold is confirmed within limits and refused beyond, a picture is shown", async (t) => {
    await obey("kite-5");
    const { page } = await newPage(t, `${own.station.url}/#drones`);
    await page.locator('#drone-list [data-drone="valley/kite-5"] button').click();
    const box = page.getByRole("region", { name: "Commands to this drone" });
    await box.getByLabel("Your name").fill("Ada");
    await box.getByLabel("Your name").press("Tab");
    await box.getByLabel("score").fill("0.8");
    await box.getByRole("button", { name: "Set threshold" }).click();
    await orders(box).first().getByText("confirmed by the drone").waitFor();
    await orders(box).first().getByText("Ada").waitFor();
    await box.getByLabel("score").fill("0.95");
    await box.getByRole("button", { name: "Set threshold" }).click();
    await orders(box).first().getByText(/REFUSED by the drone: threshold 0.95 is above the limit/).waitFor();
    await box.getByLabel("score").fill("7");
    await box.getByRole("button", { name: "Set threshold" }).click();
    assert.equal(await orders(box).count(), 2, "a value out of range was sent");
    await box.getByRole("button", { name: "Mute around it" }).click();
    await orders(box).first().getByText("page-area for 15 min").waitFor();
    await orders(box).first().getByText("confirmed by the drone").waitFor();
    await page.locator("#drones").focus();
    await page.keyboard.press("p");
    await page.waitForFunction(() => document.querySelector(".snapshot")?.naturalWidth === 320);
    assert.deepEqual(await violations(page), []);
    await page.reload();
    await page.locator('#drone-list [data-drone="valley/kite-5"] button').click();
    await orders(box).getByText("REFUSED by the drone").waitFor();
  });

  test("the keyboard mutes where an alert is and asks for its picture", async (t) => {
    await obey("kite-6");
    await own.station.feed.fire("kite-6", "loud", { lat: 44.1, lon: 6.2, heading: 355 });
    const { page } = await newPage(t, own.station.url);
    await waits(page, "loud").focus();
    await page.keyboard.press("m");
    await waits(page, "loud").getByText("between 351° and 21° of this drone").waitFor();
    await waits(page, "loud").locator("[data-minutes]:focus").waitFor();
    assert.deepEqual(await violations(page), []);
    await page.keyboard.press("Escape");
    assert.ok((await focusedKey(page)).endsWith("/loud"), "Escape does not lead back");
    await page.keyboard.press("m");
    await page.keyboard.press("2");
    await orders(waits(page, "loud")).getByText("page-loud for 60 min").waitFor();
    await orders(waits(page, "loud")).getByText("confirmed by the drone").waitFor();
    await page.keyboard.press("p");
    await orders(waits(page, "loud")).locator("[data-verb=snapshot]", { hasText: "confirmed" }).or(
      waits(page, "loud").locator("[data-verb=snapshot]", { hasText: "confirmed" })).first().waitFor();
  });

  test("what no drone takes times out, and what knows no key fails", async (t) => {
    const { feed } = own.station;
    await feed.send({ do: "health", drone: "kite-gone" });
    const { page } = await newPage(t, `${own.station.url}/#drones`);
    const ask = async (drone, words) => {
      await page.locator(`#drone-list [data-drone="valley/${drone}"] button`).click();
      const box = page.getByRole("region", { name: "Commands to this drone" });
      await box.getByRole("button", { name: "Set profile" }).click();
      await orders(box).first().getByText(words).waitFor({ timeout: 15000 });
    };
    await ask("kite-gone", /TIMED OUT: not sent: the drone was not connected within 2s/);
    await feed.send({ do: "status", drone: "kite-deaf", state: "online" });
    await ask("kite-deaf", /FAILED: the drone takes no commands/);
  });
});

describe("a crowd", () => {
  const own = withStation();

  test("10,000 drones and 3,000 alerts: the page says how many, and answers", async (t) => {
    const { feed, url } = own.station;
    await feed.send({ do: "crowd", drones: 10000, events: 3000 });
    await stored(url, 3000);
    const from = Date.now();
    const { page } = await newPage(t, url);
    await page.locator("#waiting-list .card").first().waitFor();
    t.diagnostic(`first alert shown ${Date.now() - from} ms after the page was asked for`);
    await page.locator("#summary").getByText("3,000 alerts wait").waitFor();
    await page.locator("#links .count").getByText("(10,000)").waitFor({ timeout: 10000 });
    await page.locator("#crowd").getByText(/^Listed are \d+: .* Of 10,000 drones 0 are offline/).waitFor();
    const cards = await page.locator("#waiting-list .card").count();
    assert.ok(cards >= 50 && cards <= 51, `${cards} cards at a time`);
    assert.ok((await page.locator("#drone-list li").count()) <= 256);
    await page.locator("#waiting-more").getByText(/^2,9\d\d more wait/).waitFor();

    const seen = waits(page, "urgent").waitFor();
    const captured = await feed.fire("crowd-09999", "urgent");
    await seen;
    t.diagnostic(`an alert amid the crowd shown ${Date.now() - captured} ms after its capture`);
    await waits(page, "urgent").focus();
    await page.keyboard.press("a");
    await page.keyboard.press("3");
    await waits(page, "urgent").waitFor({ state: "detached" });
    await page.locator("#summary").getByText("3,000 alerts wait").waitFor();
    await own.station.restart();
    await page.reload();
    await page.locator("#summary").getByText("3,000 alerts wait").waitFor({ timeout: 20000 });
  });
});

// stored waits until the station has that many alerts on disk.
async function stored(url, alerts) {
  for (;;) {
    const { stats } = await (await fetch(`${url}/api/v1/station`)).json();
    if (stats.Stored >= alerts) return;
    await new Promise((done) => setTimeout(done, 100));
  }
}

describe("login", () => {
  const own = {};
  before(async () => {
    own.token = join(mkdtempSync(join(tmpdir(), "emberwing-token-")), "token");
    own.station = await Station.start("--token-file", own.token);
  });
  after(async () => {
    await own.station?.stop();
    rmSync(dirname(own.token), { recursive: true, force: true });
  });

  test("nobody comes in without the token, and the session outlives a restart", async (t) => {
    const context = await browser.newContext(desktop);
    t.after(() => context.close());
    const page = await context.newPage();
    await page.goto(own.station.url);
    assert.match(page.url(), /\/login$/);
    assert.deepEqual(await violations(page), []);
    assert.equal((await page.request.get(`${own.station.url}/state`)).status(), 401);
    await page.getByLabel("Token").fill("not the token at all");
    await page.keyboard.press("Enter");
    await page.getByText("That token is not right.").waitFor();
    await page.getByLabel("Token").fill(readFileSync(own.token, "utf8").trim());
    await page.keyboard.press("Enter");
    await page.locator("#feed[data-state=live]").waitFor();
    await own.station.feed.fire("kite-1", "inside");
    await waits(page, "inside").waitFor();
    const [cookie] = await context.cookies();
    assert.ok(cookie.httpOnly && cookie.sameSite === "Strict");
    await own.station.restart();
    await page.reload();
    await waits(page, "inside").waitFor();
    await context.clearCookies();
    await own.station.restart();
    await page.waitForURL(/\/login$/, { timeout: 20000 });
  });
});

describe("beyond this machine", () => {
  const own = {};
  before(async () => {
    own.dir = certificate();
    own.station = await Station.start("--token-file", join(own.dir, "token"), "--page-host", "station.test",
      "--page-cert", join(own.dir, "cert.pem"), "--page-key", join(own.dir, "key.pem"));
    own.url = `https://station.test:${own.station.web}`;
  });
  after(async () => {
    await own.station?.stop();
    rmSync(own.dir, { recursive: true, force: true });
  });

  test("by HTTPS and by name: login, live feed, and a strict policy on every answer", async (t) => {
    const context = await browser.newContext({ ...desktop, ignoreHTTPSErrors: true });
    t.after(() => context.close());
    const page = await context.newPage();
    const answers = [];
    page.on("response", (r) => answers.push(r));
    await page.goto(own.url);
    assert.equal(page.url(), `${own.url}/login`);
    await page.getByLabel("Token").fill(readFileSync(join(own.dir, "token"), "utf8").trim());
    await page.keyboard.press("Enter");
    await page.locator("#feed[data-state=live]").waitFor();
    const [cookie] = await context.cookies();
    assert.ok(cookie.secure && cookie.httpOnly && cookie.sameSite === "Strict", JSON.stringify(cookie));
    await own.station.feed.fire("kite-1", "far");
    await waits(page, "far").focus();
    await page.keyboard.press("a");
    await page.keyboard.press("1");
    await waits(page, "far").waitFor({ state: "detached" });
    await page.goto(`${own.url}/#history`);
    await page.reload();
    await page.locator("#history-list li").first().waitFor();
    await page.evaluate((paths) => Promise.all(paths.map((p) => fetch(p))),
      ["nowhere", "metrics", "api/v1/events", "api/v1/nowhere", "picture/1", "state"]);
    assert.deepEqual(answers.filter((r) => !strict(r)).map((r) => r.url()), []);
    assert.ok(answers.length > 30, `only ${answers.length} answers were looked at`);
  });

  test("another name, and no encryption, are turned away", async (t) => {
    const context = await browser.newContext({ ignoreHTTPSErrors: true });
    t.after(() => context.close());
    const other = await context.request.get(`https://127.0.0.1:${own.station.web}/login`,
      { headers: { Host: "evil.test" } });
    assert.equal(other.status(), 421);
    const plain = await context.request.get(`http://127.0.0.1:${own.station.web}/`).catch(() => null);
    assert.ok(plain === null || plain.status() === 400, `got ${plain?.status()} without encryption`);
  });
});

describe("tiles", () => {
  const own = {};
  before(async () => {
    own.dir = mkdtempSync(join(tmpdir(), "emberwing-map-"));
    writeFileSync(join(own.dir, "map.pmtiles"), mapFile());
    own.station = await Station.start("--map", join(own.dir, "map.pmtiles"));
  });
  after(async () => {
    await own.station?.stop();
    rmSync(own.dir, { recursive: true, force: true });
  });

  test("a tile file lies below the map", async (t) => {
    const { page } = await newPage(t, own.station.url);
    await own.station.feed.send({ do: "health", drone: "kite-1", lat: 44.1, lon: 6.2, heading: 40 });
    await page.locator(".map .map-drone").waitFor({ state: "attached" });
    for (let i = 0; i < 15; i++) await page.getByRole("button", { name: "Zoom out" }).click();
    const water = page.locator(".map-tile path.map-area.map-layer-water");
    await water.waitFor({ state: "attached" });
    assert.equal(await water.getAttribute("d"), "M0 0L4096 0L4096 2048Z");
    await page.getByText("© test").waitFor();
  });
});

// mapFile is a PMTiles file of one vector tile: a triangle of water.
function mapFile() {
  const field = (number, body) => Buffer.from([(number << 3) | 2, body.length, ...body]);
  const zigzag = (v) => varint(((v << 1) ^ (v >> 31)) >>> 0);
  const geometry = Buffer.from([9, ...zigzag(0), ...zigzag(0), 18, ...zigzag(4096), ...zigzag(0), ...zigzag(0),
    ...zigzag(2048), 15]);
  const feature = Buffer.concat([Buffer.from([0x18, 3]), field(4, geometry)]);
  const tile = field(3, Buffer.concat([field(1, Buffer.from("water")), field(2, feature),
    Buffer.from([0x28, ...varint(4096), 0x78, 2])]));
  const root = Buffer.from([1, 0, 1, ...varint(tile.length), 1]); // one entry: tile 0, run 1, length, offset 0
  const metadata = Buffer.from(JSON.stringify({ attribution: "<b>© test</b>" }));
  const head = Buffer.alloc(127);
  head.write("PMTiles\x03", "latin1");
  let at = head.length;
  [root, metadata, Buffer.alloc(0), tile].forEach((part, i) => {
    head.writeBigUInt64LE(BigInt(at), 8 + 16 * i);
    head.writeBigUInt64LE(BigInt(part.length), 16 + 16 * i);
    at += part.length;
  });
  head.set([1, 1, 1, 0, 0], 97); // no compression, vector tiles, zoom 0 only
  return Buffer.concat([head, root, metadata, tile]);
}

const varint = (v) => (v < 128 ? [v] : [(v & 127) | 128, ...varint(v >>> 7)]);

async function show(page, view) {
  if (view === "help") return page.evaluate(() => document.getElementById("keys").showModal());
  if (view !== "answer") return page.evaluate((v) => (location.hash = v), view);
  await page.locator("#waiting-list .card.chosen .panel > .primary").click();
}

async function violations(page) {
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(await axe());
  const { violations: found } = await page.evaluate(() => globalThis.axe.run({ runOnly: ["wcag2a", "wcag2aa",
    "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
  return found.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target} ${n.failureSummary}`).join("; ")}`);
}
