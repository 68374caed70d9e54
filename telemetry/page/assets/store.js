// What this browser remembers, shared by its tabs. A browser that refuses to store
// forgets it with the tab.

const memory = new Map();
const name = (key) => `emberwing.${key}`;

export function recall(key, otherwise = "") {
  try {
    return localStorage.getItem(name(key)) ?? memory.get(key) ?? otherwise;
  } catch {
    return memory.get(key) ?? otherwise;
  }
}

export function remember(key, value) {
  memory.set(key, value);
  try {
    localStorage.setItem(name(key), value);
  } catch {
    // Full or forbidden: the copy in memory serves this tab.
  }
}
