// The table of participants at the round shown: what each spent, is trusted, won and was paid.

import { bar, card, credits, el, naturally, number } from "./format.js";

export const KINDS = {
  1: { label: "type 1, attacks rarely", short: "1", colour: "blue" },
  2: { label: "type 2, in half the rounds", short: "2", colour: "orange" },
  3: { label: "type 3, in half the episodes", short: "3", colour: "red" },
};

export const CLINICS = {
  honest: { label: "honest", short: "honest", colour: "blue" },
  attacker: { label: "attacker", short: "attacker", colour: "red" },
};

export function kindOf(head, name) {
  const kind = (head.kinds || {})[name];
  return KINDS[kind] || CLINICS[kind];
}

const COLUMNS = [
  { head: "uploads", of: (row, name) => number((row.uploads || {})[name] || 0), needs: "uploads", clinics: true },
  { head: "ε spent", of: (row, name, history, most) => spent(row, name, history, most), needs: "epsilon" },
  { head: "reputation (0–1)", of: (row, name, history) => standing(row, name, history.head.threshold), needs: "reputations" },
  { head: "trusted", of: (row, name) => ((row.trusted || []).includes(name) ? "yes" : "no"), needs: "trusted" },
  { head: "asks (credits)", of: (row, name) => credits((row.offers || {})[name]?.[0]), needs: "offers" },
  { head: "worth (credits)", of: (row, name) => credits((row.offers || {})[name]?.[1]), needs: "offers" },
  { head: "won", of: (row, name) => (name in (row.promised || {}) ? "won" : ""), needs: "promised" },
  { head: "paid (credits)", of: (row, name) => credits((row.paid || {})[name]), needs: "paid" },
  { head: "rounds won so far", of: (row, name) => number((row.wins || {})[name] || 0), needs: "wins" },
  { head: "paid so far (credits)", of: (row, name) => credits((row.paid_total || {})[name] || 0), needs: "paid_total" },
  { head: "blamed", of: (row, name) => ((row.blamed || []).some((pair) => pair[1] === name) ? "blamed" : ""), needs: "blamed" },
];

// While a run goes the server works out the newest round only, now and then: what fewer uploads
// cost is less, so the nearest figure below is shown as such.
function spent(row, name, history, most) {
  const uploads = (row.uploads || {})[name] || 0;
  const known = Object.keys(history.epsilon).map(Number).filter((count) => count <= uploads);
  if (!known.length) return "…";
  const nearest = Math.max(...known);
  const value = history.epsilon[String(nearest)];
  const { nominal } = history.head.epsilon;
  const shown = bar(value / Math.max(most, nominal), value > nominal * 1.0001 ? "over" : "");
  return el("span", {}, shown, `${nearest < uploads ? "≥ " : ""}${number(value)}`);
}

function standing(row, name, threshold) {
  const value = (row.reputations || {})[name];
  const digits = value < threshold && value.toFixed(4) >= threshold ? 7 : 4; // just not trusted
  return el("span", {}, bar(value), value === undefined ? "–" : value.toFixed(digits));
}

export class People {
  constructor(history) {
    this.card = card(history.head.market ? "Devices" : "Clinics", "", history.has("reputations") || history.has("offers"));
    this.box = el("div", { class: "scroll" });
    this.card.body.append(this.box);
  }

  update(history, row) {
    const head = history.head;
    this.card.say(note(history, row));
    const columns = COLUMNS.filter((column) => !(column.clinics && head.market) && (
      column.needs === "epsilon" ? head.epsilon && row.uploads : history.has(column.needs)));
    const names = everyone(history);
    const most = Math.max(...Object.values(history.epsilon), 0);
    const titles = [head.market ? "device" : "clinic", ...(head.kinds ? ["type"] : []), ...columns.map((c) => c.head)];
    const lines = names.map((name) => {
      const kind = kindOf(head, name);
      const first = el("td", {}, short(name));
      const type = kind ? [dotted(kind)] : head.kinds ? [el("td", {}, "–")] : [];
      const cells = columns.map((column) => el("td", {}, column.of(row, name, history, most)));
      const won = name in (row.promised || {});
      const out = row.trusted && !row.trusted.includes(name);
      return el("tr", { class: won ? "won" : out ? "out" : "" }, first, ...type, ...cells);
    });
    this.box.replaceChildren(el("table", { class: columns.length < 5 ? "few" : "" },
      el("thead", {}, el("tr", {}, ...titles.map((title) => el("th", {}, title)))),
      el("tbody", {}, ...lines)));
  }
}

function note(history, row) {
  const epsilon = history.head.epsilon;
  if (!epsilon) {
    return row.promised ? "Shaded: won this round. Grey: not trusted. One credit is 1,000,000 micro-credits." : "Who took part.";
  }
  const seeded = epsilon.seeded ? " Noise is seeded here: the figure holds for the same run with --noise system." : "";
  const named = epsilon.mechanism === "global-dp"
    ? `; the paper claims ${number(epsilon.nominal)}, red is above it`
    : `; asked for: ${number(epsilon.nominal)}`;
  return `ε of one ${epsilon.unit}, proven against a curious server at δ = ${epsilon.delta}${named}.${seeded}`;
}

function everyone(history) {
  const last = history.rows[history.rows.length - 1] || {};
  const found = new Set([
    ...Object.keys(history.head.kinds || {}),
    ...Object.keys(last.uploads || {}),
    ...Object.keys(last.reputations || {}),
    ...Object.keys(last.offers || {}),
  ]);
  return [...found].sort(naturally);
}

function dotted(kind) {
  const dot = el("span", { class: "dot" });
  dot.style.color = `var(--${kind.colour})`;
  return el("td", {}, dot, kind.short);
}

const short = (name) => (name.length > 14 ? `${name.slice(0, 12)}…` : name);
