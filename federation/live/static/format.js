// Numbers and small elements. Text only ever goes in as text: names come from other machines.

export const MICRO = 1e6;

export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== "") made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

export function card(title, note, wide = false) {
  const body = el("div");
  const said = el("p", { class: "note" }, note);
  const made = el("section", { class: wide ? "wide" : "" }, el("h2", {}, title), said, body);
  return { made, body, say: (text) => { if (said.textContent !== text) said.textContent = text; } };
}

export function number(value, digits = 3) {
  if (value === null || value === undefined) return "–";
  if (!Number.isFinite(value)) return "unbounded";
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return String(value);
  return Number(value.toPrecision(digits)).toLocaleString("en", { maximumSignificantDigits: digits });
}

export const percent = (value, digits = 1) =>
  value === null || value === undefined ? "–" : `${(100 * value).toFixed(digits)} %`;

export const credits = (micro) =>
  micro === null || micro === undefined ? "–" : (micro / MICRO).toFixed(2);

// Device 10 comes after device 9.
export const naturally = (a, b) => a.localeCompare(b, "en", { numeric: true });

export function bar(share, kind = "") {
  const inner = el("i", { class: kind });
  inner.style.width = `${100 * Math.max(0, Math.min(1, share || 0))}%`;
  return el("span", { class: "bar" }, inner);
}

export const colour = (name) =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

export const bits = (set, count) =>
  Array.from({ length: count }, (_, cube) => Math.floor(set / 2 ** cube) % 2 === 1);
