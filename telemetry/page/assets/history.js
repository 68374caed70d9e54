// The history: all events that the ground station has stored, newest first, a page at a time.

import { explain, get } from "./api.js";
import { answerText, verdictText } from "./alerts.js";
import { byId, el, mark, text } from "./dom.js";
import { facts, name, Picture, stage, tone } from "./evidence.js";
import { clock, millis, score } from "./format.js";
import { VerdictPanel } from "./verdict.js";

const TYPING = 250; // ms of rest before a search starts

// Line of an event.
class Line {
  constructor(page) {
    this.page = page;
    this.summary = el("summary");
    this.details = el("details", null, this.summary);
    this.node = el("li", null, this.details);
    this.details.addEventListener("toggle", () => this.fill());
  }

  update(v) {
    this.value = v;
    const time = v.ended ? ` lasted ${((millis(v.ended) - millis(v.started)) / 1000).toFixed(1)} s` : ` ${stage(v)}`;
    this.summary.replaceChildren(
      el("time", { datetime: v.started }, clock(v.started)), mark(tone(v), tone(v)), el("b", null, name(v)),
      el("span", { class: "line-phase" }, time), el("span", null, `peak ${score(v.evidence.peak)}`),
      ...[v.late && el("span", { class: "chip late" }, "LATE"),
        v.exercise && el("span", { class: "chip exercise" }, "EXERCISE")].filter(Boolean),
      el("span", { class: v.ack ? "line-answer" : "line-answer tone-warn" }, this.answer(v)), el("small", null,
        v.drone));
    this.fill();
  }

  answer(v) {
    if (v.ack) return verdictText(v.ack, this.page.feed.verdicts());
    return v.task === "fire" ? "waits for an answer" : "";
  }

  fill() {
    if (!this.details.open) return;
    if (!this.list) {
      this.picture = new Picture(true);
      this.list = el("dl", { class: "facts" });
      this.said = el("p", { class: "answer" });
      this.panel = new VerdictPanel(this.page, () => this.value, () => this.summary.focus());
      this.details.append(el("div", { class: "card-body" }, this.picture.node,
        el("div", null, this.said, this.panel.node, this.list)));
    }
    this.picture.update(this.value);
    this.list.replaceChildren(...facts(this.value));
    text(this.said, this.value.ack ? `Answered: ${answerText(this.value.ack, this.page.feed.verdicts())}` : "");
    this.panel.update(this.value);
  }
}

export class History {
  constructor(page) {
    this.page = page;
    this.lines = new Map();
    this.before = null;
    this.round = 0;
    this.meanwhile = null; // what changed since a question that has no answer yet, newer than that
    byId("older").addEventListener("click", () => this.more());
    byId("search").addEventListener("submit", (e) => e.preventDefault());
    byId("search").addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.restart(), TYPING);
    });
  }

  query() {
    return Object.fromEntries(new FormData(byId("search")));
  }

  restart() {
    this.before = null;
    return this.load(true);
  }

  more() {
    return this.load(false);
  }

  async load(fresh) {
    const round = ++this.round;
    this.meanwhile = new Map();
    try {
      const { events, next } = await get("history", { ...this.query(), before: this.before });
      if (round === this.round) this.show(events, next, fresh);
    } catch (err) {
      if (round === this.round) text(byId("history-note"), `The history cannot be had. ${explain(err)}`);
    } finally {
      if (round === this.round) this.meanwhile = null;
    }
  }

  show(events, next, fresh) {
    if (fresh) {
      byId("history-list").replaceChildren();
      this.lines.clear();
    }
    for (const v of events) this.put(v.key, v, false);
    for (const [key, v] of this.meanwhile) this.take(key, v);
    this.before = next;
    byId("older").hidden = !next;
    byId("history-empty").hidden = this.lines.size > 0;
    text(byId("history-note"),
      `${this.lines.size} event${this.lines.size === 1 ? "" : "s"} shown${next ? "" : ", all that match"}`);
  }

  put(key, v, front) {
    let line = this.lines.get(key);
    if (!line) {
      this.lines.set(key, (line = new Line(this.page)));
      if (front) byId("history-list").prepend(line.node);
      else byId("history-list").append(line.node);
    }
    line.update(v);
  }

  // changed keeps the lines up to date. New events come on top while nothing is searched for.
  changed(key, v) {
    if (!v || !this.loaded) return;
    this.meanwhile?.set(key, v);
    this.take(key, v);
    byId("history-empty").hidden = this.lines.size > 0;
  }

  // take puts a change where it belongs, or leaves it out.
  take(key, v) {
    const searching = Object.values(this.query()).some((part) => part !== "");
    if (this.lines.has(key)) this.put(key, v);
    else if (!searching && !(v.id && v.id < this.newest())) this.put(key, v, true);
  }

  // newest is the highest number shown; what is older and not shown belongs to a later page.
  newest() {
    return Math.max(0, ...[...this.lines.values()].map((line) => line.value.id));
  }

  // enter loads the history when it is looked at for the first time, or after the feed began anew.
  enter() {
    if (this.loaded) return;
    this.loaded = true;
    this.restart();
  }

  forget() {
    this.loaded = false;
  }
}
