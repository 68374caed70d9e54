// Keys for what an operator does often. They are off while somebody types, and can be
// switched off altogether.

import { byId, el } from "./dom.js";
import { recall, remember } from "./store.js";

export class Keys {
  // bindings: [[keys], words, act]; shown names the keys in the help.
  constructor(bindings) {
    this.bindings = bindings;
    this.dialog = byId("keys");
    byId("help").addEventListener("click", () => this.dialog.showModal());
    byId("keys-list").append(...bindings.flatMap(([keys, words]) => [el("dt", null,
      keys.map((k) => [el("kbd", null, label(k)), " "])), el("dd", null, words)]),
      el("dt", null, el("kbd", null, "1"), " … ", el("kbd", null, "0")), el("dd", null,
        "in an answer: give this verdict; in a mute: for this long"),
      el("dt", null, el("kbd", null, "Esc")), el("dd", null, "close the answer, the mute, or this help"));
    const on = byId("keys-on");
    on.checked = recall("keys", "on") === "on";
    on.addEventListener("change", () => remember("keys", on.checked ? "on" : "off"));
    addEventListener("keydown", (e) => this.onKey(e));
  }

  onKey(e) {
    if (e.defaultPrevented || e.ctrlKey || e.metaKey || e.altKey || this.dialog.open || recall("keys",
      "on") !== "on") return;
    if (e.target.closest("input, select, textarea")) return;
    const found = this.bindings.find(([keys]) => keys.includes(e.key.length === 1 ? e.key.toLowerCase() : e.key));
    if (!found) return;
    e.preventDefault();
    found[2]();
  }
}

const label = (k) => k.toUpperCase();
