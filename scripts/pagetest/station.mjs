// Starts what the tests need: a ground station, the drones that feed it, and a browser.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const cache = process.env.PAGETEST ?? join(root, ".cache/pagetest"); // filled by scripts/pagetest/run
const program = process.env.EMBERWING ?? join(root, "bin/emberwing");
export const feeder = join(cache, "feeder"); // scripts/pagetest/main.go
const installed = createRequire(join(cache, "package.json"));
const { chromium } = installed("playwright-core");

// axe is the source of the accessibility checker.
export const axe = () => readFile(installed.resolve("axe-core/axe.min.js"), "utf8");

// freePort asks the system for one.
export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

// Station is a real ground station with its own broker, on loopback, in its own directory.
export class Station {
  static async start(...more) {
    const s = new Station();
    s.dir = mkdtempSync(join(tmpdir(), "emberwing-pagetest-"));
    s.web = await freePort();
    s.mqtt = await freePort();
    s.url = `http://127.0.0.1:${s.web}`;
    s.more = more;
    await s.up();
    s.feed = new Drones(`tcp://127.0.0.1:${s.mqtt}`);
    return s;
  }

  async up() {
    this.log = "";
    this.process = spawn(program, ["ground", "--listen", `127.0.0.1:${this.web}`, "--mqtt-listen",
      `127.0.0.1:${this.mqtt}`,
      "--store", join(this.dir, "ground.db"), ...this.more], { stdio: ["ignore", "ignore", "pipe"] });
    this.process.stderr.on("data", (text) => (this.log += text));
    const ended = once(this.process, "exit").then(() => {
      throw new Error(`the ground station ended: ${this.log}`);
    });
    ended.catch(() => {});
    await Promise.race([this.answers(), ended]);
  }

  // answers waits until the station hears what drones send, and the page is served.
  async answers() {
    const ready = ['"feed up" feed=reports', '"feed up" feed=alerts', ...(this.more.includes("--page-cert") ? ["live page: https://"] : [])];
    while (!ready.every((words) => this.log.includes(words))) await new Promise((done) => setTimeout(done, 20));
    while (!this.more.includes("--page-cert")) {
      const response = await fetch(`${this.url}/session`).catch(() => null);
      if (response) return;
      await new Promise((done) => setTimeout(done, 20));
    }
  }

  // kill ends the station as a power cut does.
  async kill() {
    this.process.kill("SIGKILL");
    await once(this.process, "exit");
  }

  async restart() {
    await this.kill();
    await this.up();
  }

  async stop() {
    this.feed.stop();
    if (this.process.exitCode === null && this.process.signalCode === null) await this.kill();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

// Drones feeds the station.
class Drones {
  constructor(broker) {
    this.process = spawn(feeder, ["-broker", broker], { stdio: ["pipe", "pipe", "inherit"] });
    this.answers = createInterface(this.process.stdout)[Symbol.asyncIterator]();
  }

  // send publishes one message and returns its capture time, ms, once the broker has it.
  async send(order) {
    this.process.stdin.write(`${JSON.stringify(order)}\n`);
    const { value, done } = await this.answers.next();
    if (done) throw new Error("the feeder ended");
    return JSON.parse(value).captured;
  }

  fire(drone, event, more = {}) {
    return this.send({ do: "alert", drone, event, phase: "begin", label: "smoke", ...more });
  }

  stop() {
    this.process.kill();
  }
}

// launch starts the browser as it runs in tests: it asks nobody on the internet for anything.
export const launch = () => chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--host-resolver-rules=MAP *.test 127.0.0.1"],
});

export const desktop = { viewport: { width: 1366, height: 768 }, colorScheme: "dark" };
export const phone = { viewport: { width: 390, height: 844 }, colorScheme: "light", isMobile: true, hasTouch: true };

// strict tells whether an answer of the station lets a browser load nothing from elsewhere, and
// no script but files of the station.
export function strict(response) {
  const headers = response.headers();
  const policy = headers["content-security-policy"] ?? "";
  return policy.startsWith("default-src 'none'; script-src 'self'; style-src 'self';") && policy.includes("frame-ancestors 'none'") &&
    policy.includes("require-trusted-types-for 'script'") && !policy.includes("unsafe") && headers["x-content-type-options"] === "nosniff";
}

// certificate makes one for station.test, which the browser finds on this machine.
export function certificate() {
  const dir = mkdtempSync(join(tmpdir(), "emberwing-cert-"));
  execFileSync(feeder, ["-certificate", dir]);
  return dir;
}

// open shows a page and notes everything that must not happen on it: errors, breaches of
// the policy, and requests that leave this machine.
export async function open(context, url) {
  const faults = [];
  await context.route((u) => u.hostname !== "127.0.0.1", (route) => {
    faults.push(`asked for ${route.request().url()}`);
    return route.abort();
  });
  const page = await context.newPage();
  page.on("response", (r) => strict(r) || faults.push(`no strict policy on ${r.url()}`));
  page.on("pageerror", (err) => faults.push(String(err)));
  page.on("console", (m) => /Content Security Policy|Trusted/i.test(m.text()) && faults.push(m.text()));
  await page.addInitScript(() => addEventListener("securitypolicyviolation",
    (e) => console.error(`Content Security Policy: ${e.violatedDirective} ${e.blockedURI}`)));
  await page.goto(url);
  await page.locator("#feed[data-state=live]").waitFor();
  await page.waitForFunction(() => !document.getElementById("summary").textContent.startsWith("Waiting"));
  return { page, faults };
}
