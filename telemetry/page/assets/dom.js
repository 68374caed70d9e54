// Elements are built from nodes and text only, never from HTML: whatever a message holds,
// it is shown as the characters it consists of.

const SVG = "http://www.w3.org/2000/svg";

// el makes an element. Children are nodes or texts; null and "" are left out.
export function el(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

// svg makes an SVG element.
export function svg(name, attributes, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value);
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined && child !== "" && child !== false) node.append(child);
  }
  return node;
}

// text changes the text of a node, and nothing when it is the same, so that screen
// readers and selections are left in peace.
export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

export const byId = (id) => document.getElementById(id);

// mark draws one of the shapes that go with a state. Shape and text always say the same
// as the colour.
export function mark(shape, tone) {
  const paths = {
    fire: "M8 1C9 5 13 6 13 10.5A5 5 0 0 1 3 10.5C3 8 5 7 5.5 5 6.5 6 7 6.5 7 8 8.5 6 8.5 4 8 1Z",
    gesture: "M5 15V9L3 6.5 4.5 5.5 6 7V2.5H7.5V6H8.5V1.5H10V6H11V3H12.5V11L11 15Z",
    disc: "M8 2A6 6 0 1 0 8 14 6 6 0 1 0 8 2Z",
    half: "M8 2A6 6 0 1 0 8 14ZM9 2.1V3.6A4.5 4.5 0 0 1 9 12.4V13.9A6 6 0 0 0 9 2.1Z",
    triangle: "M8 1.5 15 14H1Z",
    square: "M2.5 2.5H13.5V13.5H2.5Z",
    diamond: "M8 1 15 8 8 15 1 8ZM8 3.8 3.8 8 8 12.2 12.2 8Z",
    tick: "M2 8.5 6 12.5 14 4.5 12.5 3 6 9.5 3.5 7Z",
    swap: "M1 5H11V2L15 6 11 10V7H1ZM1 12H15V14H1Z",
  };
  return svg("svg", { viewBox: "0 0 16 16", class: `mark tone-${tone}`, "aria-hidden": "true" },
    svg("path", { d: paths[shape] ?? paths.disc, "fill-rule": "evenodd" }));
}

// list shows items in order with one node each. Nodes are kept as long as their item is
// there, so focus, scroll position and open details stay where they are.
export class List {
  constructor(parent, make) {
    this.parent = parent;
    this.make = make; // (key) => {node, update(value)}
    this.parts = new Map();
  }

  show(items) {
    const keep = new Set(items.map(([key]) => key));
    for (const [key, part] of this.parts) {
      if (!keep.has(key)) {
        part.node.remove();
        this.parts.delete(key);
      }
    }
    items.forEach(([key, value], i) => {
      let part = this.parts.get(key);
      if (!part) this.parts.set(key, (part = this.make(key)));
      if (this.parent.children[i] !== part.node) this.parent.insertBefore(part.node, this.parent.children[i] ?? null);
      if (part.value !== value) part.update((part.value = value));
    });
  }

  // tick lets every part renew what depends on the time.
  tick() {
    for (const part of this.parts.values()) part.tick?.();
  }
}
