// The answer to an event: a verdict from the station's list, who gives it, and a note.
// The panel is part of the card, so nothing that happens meanwhile is covered by it.

import { explain } from "./api.js";
import { choice, steer } from "./choice.js";
import { el, text } from "./dom.js";
import { name } from "./evidence.js";
import { recall, remember } from "./store.js";

let panels = 0;

export class VerdictPanel {
  // page acknowledges; event returns the present event; leave moves the focus back.
  constructor(page, event, leave) {
    this.page = page;
    this.event = event;
    this.leave = leave;
    this.id = `verdict-${++panels}`;
    this.button = el("button", { type: "button", class: "primary", "aria-expanded": "false", "aria-controls": this.id },
      "Answer ", el("kbd", null, "A"));
    this.button.addEventListener("click", () => this.toggle());
    this.choices = el("div", { class: "choices" });
    this.operator = el("input", { type: "text", maxlength: "64", autocomplete: "name" });
    this.remark = el("input", { type: "text", maxlength: "200", autocomplete: "off" });
    this.fault = el("p", { class: "fault", role: "alert" });
    const cancel = el("button", { type: "button" }, "Cancel ", el("kbd", null, "Esc"));
    cancel.addEventListener("click", () => this.close(true));
    this.box = el("fieldset", { id: this.id, class: "verdict", hidden: "" },
      el("legend", null, "What is it?"), this.choices,
      el("div", { class: "verdict-by" }, el("label", null, "Your name ", this.operator),
        el("label", null, "Note ", this.remark), cancel));
    this.node = el("div", { class: "panel" }, this.button, this.box, this.fault);
    this.node.addEventListener("keydown", (e) => this.box.hidden || steer(e, this.choices, () => this.close(true)));
  }

  update(v) {
    this.node.hidden = !this.page.feed.hello.answers || !v.id;
    this.button.firstChild.textContent = v.ack ? "Change the answer " : "Answer ";
  }

  toggle() {
    if (this.box.hidden) this.open();
    else this.close(true);
  }

  open() {
    const verdicts = this.page.feed.verdicts();
    const describe = (v) => [{ "data-verdict": v.id, title: v.hint }, v.text, () => this.give(v)];
    this.choices.replaceChildren(...verdicts.map((v, i) => choice(v, i, describe)));
    this.operator.value = recall("operator");
    this.seen = Boolean(this.event().ack); // an answer that comes after this is not replaced unseen
    text(this.fault, "");
    this.box.hidden = false;
    this.button.setAttribute("aria-expanded", "true");
    this.choices.firstChild?.focus();
  }

  close(back) {
    if (this.box.hidden) return;
    this.box.hidden = true;
    this.button.setAttribute("aria-expanded", "false");
    if (back) this.leave();
  }

  async give(verdict) {
    const v = this.event();
    if (this.busy) return;
    this.busy = true;
    remember("operator", this.operator.value.trim());
    text(this.fault, "");
    try {
      await this.page.acknowledge(v, {
        id: v.id, verdict: verdict.id, operator: this.operator.value.trim(), note: this.remark.value.trim(),
        replace: this.seen,
      });
      this.remark.value = "";
      this.close(false);
      this.page.answered(v, verdict);
    } catch (err) {
      text(this.fault, `${name(v)} was not answered. ${explain(err)}`);
    } finally {
      this.busy = false;
    }
  }
}
