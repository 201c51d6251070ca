// A comparison: its cells and the leaderboard so far.

import { bar, card, credits, el, number, percent, svg } from "./format.js";

const MONEY = { adjusted_welfare: "welfare less tampered deliveries (credits a round)" };

export class Board {
  constructor() {
    this.leaders = card("Leaderboard", "", true);
    this.cells = card("Cells", "", true);
    this.box = el("div", { class: "leaders" });
    this.table = el("div", { class: "scroll" });
    this.leaders.body.append(this.box);
    this.cells.body.append(this.table);
  }

  update(board, over) {
    const money = board.metric in MONEY;
    const what = money ? MONEY[board.metric] : "held-out accuracy (%)";
    this.leaders.say(`Mean ${what} with its 95 % interval over the seeds${over ? "" : " finished so far"}, best first.`);
    this.box.replaceChildren(board.leaders.length ? drawing(board.leaders, money, what) : el("p", { class: "note" }, "No run is finished yet."));
    this.cells.say(`${board.done} of ${board.total} runs done${board.failed ? `, ${board.failed} failed` : ""}${over ? "" : `, ${board.workers} at once`}.`);
    const lines = board.cells.map((cell) => {
      const state = cell.running ? `${cell.running} running` : cell.done + cell.failed < cell.total ? "waiting" : "done";
      return el("tr", { class: cell.running ? "won" : "" },
        el("td", {}, cell.strategy), el("td", { class: "left" }, swept(cell.cell) || "–"),
        el("td", {}, bar(cell.done / cell.total, "done"), `${cell.done} of ${cell.total}`),
        el("td", {}, cell.failed ? String(cell.failed) : ""), el("td", {}, state));
    });
    const titles = ["strategy", "cell", "runs done", "failed", ""];
    this.table.replaceChildren(el("table", {},
      el("thead", {}, el("tr", {}, ...titles.map((title, place) => el("th", { class: place === 1 ? "left" : "" }, title)))),
      el("tbody", {}, ...lines)));
  }
}

const swept = (cell) => Object.entries(cell).filter(([, value]) => value !== null)
  .map(([name, value]) => `${name} ${typeof value === "number" ? number(value, 6) : value}`).join(", ");

function drawing(leaders, money, what) {
  const scale = money ? 1e-6 : 100;
  const ends = leaders.flatMap((row) => [row.ci95_low ?? row.mean, row.ci95_high ?? row.mean]).filter((v) => v !== null).map((v) => v * scale);
  let [low, high] = [Math.min(...ends), Math.max(...ends)];
  if (!(high > low)) [low, high] = [low - 1, high + 1];
  const margin = (high - low) * 0.08;
  [low, high] = [low - margin, high + margin];
  if (!money) [low, high] = [Math.max(0, low), Math.min(100, high)];
  const narrow = innerWidth < 600;
  const width = narrow ? 350 : 900;
  const left = narrow ? 8 : 260;
  const step = narrow ? 40 : 26;
  const height = leaders.length * step + 40;
  const x = (value) => left + ((value - low) / (high - low)) * (width - left - 62);
  const parts = [];
  leaders.forEach((row, place) => {
    const y = place * step + (narrow ? 28 : 15);
    const label = `${row.strategy}${swept(row.cell) ? `, ${swept(row.cell)}` : ""}`;
    parts.push(label_(narrow ? left : left - 8, narrow ? y - 12 : y + 4, label, narrow ? "start" : "end"));
    parts.push(svg("line", { class: "wall", x1: x(low), x2: x(high), y1: y, y2: y }));
    if (row.mean === null) return;
    if (row.ci95_low !== null && row.ci95_low !== undefined) parts.push(svg("line", { class: "interval", x1: Math.max(left, x(row.ci95_low * scale)), x2: Math.min(x(high), x(row.ci95_high * scale)), y1: y, y2: y }));
    parts.push(svg("circle", { class: "mean", cx: x(row.mean * scale), cy: y, r: 5 }));
    parts.push(label_(x(high) + 6, y + 4, money ? credits(row.mean) : percent(row.mean), "start"));
  });
  const base = height - 26;
  parts.push(svg("line", { class: "axis", x1: left, x2: x(high), y1: base, y2: base }));
  for (const share of [0, 0.5, 1]) {
    const value = low + share * (high - low);
    parts.push(label_(x(value), base + 12, number(value, 3), share === 0 ? "start" : share === 1 ? "end" : "middle"));
  }
  parts.push(label_((left + x(high)) / 2, height - 2, what, "middle"));
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": what }, ...parts);
}

function label_(x, y, words, anchor) {
  const made = svg("text", { x, y, "text-anchor": anchor });
  made.textContent = words;
  return made;
}
