// A row of choices that digits and arrow keys reach.

import { el } from "./dom.js";

// choices makes the row; describe gives attributes, words and what a choice does.
export function choices(items, describe) {
  return el("div", { class: "choices" }, items.map((item, i) => choice(item, i, describe)));
}

export function choice(item, i, describe) {
  const [attributes, words, act] = describe(item);
  const b = el("button", { type: "button", ...attributes }, i < 10 && el("kbd", null, String((i + 1) % 10)),
    ` ${words}`);
  b.addEventListener("click", act);
  return b;
}

// steer handles a key that was pressed in or beside a row.
export function steer(e, row, close) {
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  if (e.key === "Escape") {
    close();
  } else if (e.target.tagName !== "INPUT" && /^[0-9]$/.test(e.key)) {
    row.children[(Number(e.key) + 9) % 10]?.click();
  } else if (e.target.parentNode === row && e.key.startsWith("Arrow")) {
    step(row, e.target, e.key === "ArrowDown" || e.key === "ArrowRight" ? 1 : -1);
  } else {
    return;
  }
  e.preventDefault();
  e.stopPropagation();
}

function step(row, from, by) {
  const all = [...row.children];
  all[(all.indexOf(from) + by + all.length) % all.length].focus();
}
