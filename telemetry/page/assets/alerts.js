// Cards of events: one line each, opened for the one that is chosen, and the answer that
// an operator gives.

import { el, text, mark } from "./dom.js";
import { active, facts, name, Picture, stage, tone } from "./evidence.js";
import { clock, delay, duration, millis, score } from "./format.js";
import { EventCommands } from "./commands.js";
import { VerdictPanel } from "./verdict.js";

// waits tells whether an event still needs an operator. A gesture is reported and asks
// for nothing.
export const waits = (v) => v.task === "fire" && !v.ack;

const QUIET = 15000; // ms without a word of an event that goes on

// verdictText is a verdict in words.
export const verdictText = (ack, verdicts) => verdicts.find((v) => v.id === ack.verdict)?.text ?? ack.verdict;

// answerText says what was answered and what became of it.
export function answerText(ack, verdicts) {
  const label = verdictText(ack, verdicts);
  const fate = { pending: "the drone has not confirmed it yet", done: "confirmed by the drone",
    refused: "REFUSED by the drone", failed: "could not be sent to the drone" };
  return [`${label}, by ${ack.operator || "unnamed"} ${clock(ack.at)}`, fate[ack.delivery],
    ack.note && `“${ack.note}”`].filter(Boolean).join(" · ");
}

class Card {
  constructor(key, page) {
    this.key = key;
    this.page = page; // {feed, choose(key), acknowledge(event, answer), chosen()}
    this.icon = el("span", { class: "card-icon" });
    this.glance = el("img", { class: "glance", alt: "", hidden: "" });
    this.glance.addEventListener("error", () => (this.glance.hidden = true));
    this.title = el("h3");
    this.chip = el("span", { class: "chip" });
    this.late = el("span", { class: "chip late", hidden: "" });
    this.exercise = el("span", { class: "chip exercise", hidden: "" }, "EXERCISE");
    this.muted = el("span", { class: "chip", hidden: "" }, "muted");
    this.said = el("span", { class: "said", hidden: "" });
    this.where = el("span", { class: "where" });
    this.age = el("span", { class: "age" });
    this.value = null;
    this.build();
  }

  build() {
    this.picture = new Picture(false);
    this.list = el("dl", { class: "facts" });
    this.answer = el("p", { class: "answer", hidden: "" });
    this.note = el("p", { class: "note", hidden: "" }, "A gesture is reported and never commands the flight.");
    this.panel = new VerdictPanel(this.page, () => this.value, () => this.node.focus());
    this.commands = new EventCommands(this.page, () => this.value, () => this.node.focus());
    this.body = el("div", { class: "card-body", hidden: "" }, this.picture.node,
      el("div", null, this.answer, this.panel.node, this.commands.node, this.list, this.note));
    this.head = el("div", { class: "card-head" }, this.glance, this.icon, this.title, this.chip, this.late,
      this.exercise, this.muted, this.said, this.where, this.age);
    this.node = el("article", { class: "card", tabindex: "0", "data-key": this.key }, this.head, this.body);
    // Pressing also focuses, which opens: only a card that was open before is closed.
    this.head.addEventListener("pointerdown", () => (this.wasOpen = !this.body.hidden));
    this.head.addEventListener("click", () => this.page.choose(this.key, this.wasOpen));
    this.node.addEventListener("focus", () => this.page.choose(this.key, false));
  }

  update(v) {
    this.node.dataset.task = v.task;
    this.node.dataset.waits = waits(v);
    if (!this.icon.firstChild) this.icon.append(mark(tone(v), tone(v)));
    text(this.title, name(v));
    this.chip.dataset.phase = v.cut_off ? "cut" : v.phase;
    text(this.chip, stage(v));
    this.late.hidden = !v.late;
    text(this.late, `LATE by ${delay(v.last.delay_ms)}`);
    this.exercise.hidden = !v.exercise;
    this.muted.hidden = !v.muted;
    text(this.where, `${v.drone} · ${clock(v.started)} · score ${score(v.evidence.peak)}`);
    this.node.setAttribute("aria-label",
      `${name(v)}, drone ${v.drone}, ${clock(v.started)}, score ${score(v.evidence.peak)}, ${stage(v)}${v.late ? ", late" : ""}`);
    this.note.hidden = v.task !== "gesture";
    this.answer.hidden = !v.ack;
    this.said.hidden = !v.ack;
    if (v.ack) text(this.said, `${verdictText(v.ack, this.page.feed.verdicts())}, by ${v.ack.operator}`);
    if (v.ack) text(this.answer, `Answered: ${answerText(v.ack, this.page.feed.verdicts())}`);
    this.panel.update(v);
    this.commands.update(v);
    if (!this.body.hidden) this.fill(v);
    this.showGlance();
    this.tick();
  }

  // showGlance puts a small picture into a closed card.
  showGlance() {
    const url = this.value.picture?.url;
    this.glance.hidden = !url || !this.body.hidden;
    if (url && this.glance.getAttribute("src") !== url) this.glance.src = url;
  }

  fill(v) {
    this.picture.update(v);
    this.list.replaceChildren(...facts(v));
  }

  // open shows or hides the body.
  open(on) {
    if (this.body.hidden === !on) return;
    this.body.hidden = !on;
    this.node.classList.toggle("chosen", on);
    if (on) this.fill(this.value);
    else [this.panel, this.commands].forEach((p) => p.close(false));
    this.showGlance();
  }

  tick() {
    const v = this.value;
    if (!v) return;
    this.open(this.page.chosen() === this.key);
    const silent = this.page.feed.now() - millis(v.last.received);
    const doubt = active(v) && (v.cut_off || silent > QUIET) ? ", it may still go on" : "";
    text(this.age, `last word ${duration(silent)} ago${doubt}`);
  }
}

// card makes the cards of a list.
export function card(page) {
  return (key) => {
    const c = new Card(key, page);
    return {
      node: c.node,
      value: null,
      card: c,
      update: (v) => {
        c.value = v;
        c.update(v);
      },
      tick: () => c.tick(),
    };
  };
}
