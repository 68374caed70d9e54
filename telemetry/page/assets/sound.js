// A sound for each new fire, once: not again after a reload, and in one tab only. Browsers
// allow sound only after somebody has pressed something, hence the button.

import { text } from "./dom.js";
import { recall, remember } from "./store.js";

const REMEMBER = 500; // events
const SETTLE = 60; // ms until a claim of another tab is usually visible here
const HOLD = 60000; // ms until it is for certain
const tab = `${Date.now().toString(36)}${Math.random().toString(36).slice(2)}`;

export class Sound {
  constructor(button) {
    this.button = button;
    this.wanted = recall("sound", "on") === "on";
    this.context = null;
    this.pending = new Set(); // events that nobody has heard of
    button.addEventListener("click", () => this.press());
    // Any gesture will do when sound is wanted.
    for (const kind of ["pointerdown", "keydown"]) addEventListener(kind,
      (e) => e.target !== button && this.wanted && this.unlock(), { capture: true });
    this.show();
  }

  ready() {
    return this.wanted && this.context?.state === "running";
  }

  press() {
    const locked = this.wanted && !this.ready();
    this.wanted = locked || !this.wanted;
    remember("sound", this.wanted ? "on" : "off");
    if (this.wanted) this.unlock();
    else this.show();
  }

  async unlock() {
    if (this.ready()) return;
    this.context ??= new AudioContext();
    await this.context.resume();
    this.show();
    this.flush();
  }

  show() {
    text(this.button, !this.wanted ? "Sound off" : this.ready() ? "Sound on" : "Enable sound");
    this.button.setAttribute("aria-pressed", this.ready());
    this.button.dataset.needed = this.wanted && !this.ready();
  }

  // event notes one that needs to be heard.
  event(key) {
    if (claims().has(key)) return;
    this.pending.add(key);
    if (this.ready()) this.flush();
  }

  // flush makes one sound for all that nobody has heard of.
  async flush() {
    if (!this.ready() || this.flushing || this.pending.size === 0) return;
    this.flushing = true;
    const mine = claim([...this.pending]);
    this.pending.clear();
    const won = await (navigator.locks ? Promise.all(mine.map(first)) : settled(mine));
    if (won.some(Boolean)) this.chime([880, 660, 880]);
    this.flushing = false;
    this.flush();
  }

  // lost says that nothing arrives any more, in every tab.
  lost() {
    if (this.ready()) this.play([330, 220]);
  }

  chime(tones) {
    this.play(tones);
    document.dispatchEvent(new CustomEvent("chime"));
  }

  play(tones) {
    const start = this.context.currentTime;
    tones.forEach((hertz, i) => {
      const tone = this.context.createOscillator();
      const gain = this.context.createGain();
      const at = start + i * 0.18;
      tone.frequency.value = hertz;
      gain.gain.setValueAtTime(0.0001, at);
      gain.gain.exponentialRampToValueAtTime(0.4, at + 0.02);
      gain.gain.exponentialRampToValueAtTime(0.0001, at + 0.16);
      tone.connect(gain).connect(this.context.destination);
      tone.start(at);
      tone.stop(at + 0.17);
    });
  }
}

// first tells whether this tab is the first of all to ask for an event. The browser decides, by
// a lock that is held until the claim can be seen in every tab.
const first = (key) => new Promise((done) => {
  navigator.locks.request(`emberwing sound ${key}`, { ifAvailable: true }, (lock) => {
    done(Boolean(lock));
    return lock && new Promise((release) => setTimeout(release, HOLD));
  }).catch(() => done(true)); // twice is better than not at all
});

// settled does so where there are no locks, which browsers have on secure pages only: the last
// claim counts.
async function settled(keys) {
  await new Promise((done) => setTimeout(done, SETTLE));
  const now = claims();
  return keys.map((key) => now.get(key) === tab);
}

// claims says which tab has sounded for which event.
function claims() {
  try {
    return new Map(JSON.parse(recall("heard", "[]")));
  } catch {
    return new Map();
  }
}

// claim takes the events that no tab has taken, and returns them.
function claim(keys) {
  const all = claims();
  const mine = keys.filter((key) => !all.has(key));
  for (const key of mine) all.set(key, tab);
  remember("heard", JSON.stringify([...all].slice(-REMEMBER)));
  return mine;
}
