// The twin's grid: which cube each device vouched for, who complained, who was blamed; of
// payloads also the objects, range over azimuth.

import { bits, card, el, naturally, number, svg } from "./format.js";
import { kindOf } from "./people.js";

const MOST_PLANS = 7;
const CLASSES = { 1: "pedestrian", 2: "cyclist", 3: "car" };
const SIZE = { left: 30, right: 8, top: 6, bottom: 28, width: 230, height: 190 };

export class TwinCard {
  constructor(history) {
    this.card = card("The twin's grid", "", true);
    this.grid = el("div", { class: "scroll" });
    this.plans = el("div", { class: "plans" });
    this.card.body.append(this.grid, this.plans);
    this.count = history.head.grid.shape.reduce((a, b) => a * b, 1);
  }

  update(history, row) {
    const names = Object.keys(row.covers || {}).sort(naturally);
    const said = names.length
      ? `What each of ${names.length} devices delivered in this round: ■ cube delivered, ✗ blamed for it. Cubes are numbered ranges × azimuths × Dopplers (${history.head.grid.shape.join(" × ")}), Doppler fastest.`
      : "Nothing was delivered in this round: the twin stays as it was.";
    this.card.say(said);
    this.grid.replaceChildren(names.length ? this.table(history, row, names) : "");
    const known = names.filter((name) => name in (row.objects || {}));
    const blamed = new Set((row.blamed || []).map((pair) => pair[1]));
    const chosen = [...known].sort((a, b) => blamed.has(b) - blamed.has(a)).slice(0, MOST_PLANS).sort(naturally);
    const plans = row.objects && row.twin ? [this.plan(history, "the twin that users see", row.twin)] : [];
    for (const name of chosen) {
      const kind = kindOf(history.head, name);
      const title = `device ${name}${kind ? `, type ${kind.short}` : ""}${blamed.has(name) ? ", blamed" : ""}`;
      plans.push(this.plan(history, title, row.objects[name], blamed.has(name)));
    }
    if (known.length > chosen.length) plans.push(el("p", { class: "note" }, `${known.length - chosen.length} more deliveries not drawn`));
    if (plans.length) plans.push(legend());
    this.plans.replaceChildren(...plans);
  }

  table(history, row, names) {
    const cubes = Array.from({ length: this.count }, (_, cube) => cube);
    const visits = new Array(this.count).fill(0);
    const complaints = new Array(this.count).fill(0);
    for (const [visited, complained] of Object.values(row.ratings || {})) {
      bits(visited, this.count).forEach((set, cube) => { visits[cube] += set; });
      bits(complained, this.count).forEach((set, cube) => { complaints[cube] += set; });
    }
    const blamed = new Set((row.blamed || []).map(([cube, name]) => `${cube} ${name}`));
    const lines = names.map((name) => {
      const kind = kindOf(history.head, name);
      const has = bits(row.covers[name], this.count);
      return el("tr", {}, el("td", {}, `device ${name}${kind ? ` (type ${kind.short})` : ""}`),
        ...cubes.map((cube) => {
          const guilty = blamed.has(`${cube} ${name}`);
          return el("td", { class: guilty ? "blamed" : has[cube] ? "has" : "" }, guilty ? "✗" : has[cube] ? "■" : "");
        }));
    });
    const asked = el("tr", {}, el("td", {}, "complaints of users / visits"),
      ...cubes.map((cube) => el("td", { class: complaints[cube] ? "complaint" : "" }, `${complaints[cube]}/${visits[cube]}`)));
    return el("table", { class: "cubes" },
      el("thead", {}, el("tr", {}, el("th", {}, "cube"), ...cubes.map((cube) => el("th", {}, String(cube))))),
      el("tbody", {}, asked, ...lines));
  }

  plan(history, title, objects, guilty = false) {
    const { grid } = history.head;
    const ranges = grid.range_m;
    const x = (degrees) => SIZE.left + ((degrees + 90) / 180) * (SIZE.width - SIZE.left - SIZE.right);
    const top = ranges[ranges.length - 1];
    const y = (metres) => SIZE.height - SIZE.bottom - ((metres - ranges[0]) / (top - ranges[0])) * (SIZE.height - SIZE.bottom - SIZE.top);
    const parts = [
      svg("rect", { class: "axis", x: x(-90), y: y(top), width: x(90) - x(-90), height: y(ranges[0]) - y(top) }),
      ...ranges.slice(1, -1).map((edge) => svg("line", { class: "wall", x1: x(-90), x2: x(90), y1: y(edge), y2: y(edge) })),
      ...grid.azimuth_deg.slice(1, -1).map((edge) => svg("line", { class: "wall", x1: x(edge), x2: x(edge), y1: y(top), y2: y(ranges[0]) })),
      ...[-90, 0, 90].map((edge) => text(x(edge), SIZE.height - 16, String(edge), "middle")),
      ...[ranges[0], top].map((edge) => text(SIZE.left - 4, y(edge) + 4, number(edge, 2), "end")),
      text(x(0), SIZE.height - 3, "azimuth (°, left negative)", "middle"),
      upright(10, y((ranges[0] + top) / 2), "range (m)"),
    ];
    const written = [];
    for (const [label, range, azimuth, speed] of objects || []) {
      const cx = x(Math.max(-90, Math.min(90, (azimuth * 180) / Math.PI)));
      const cy = y(Math.min(top, range));
      parts.push(marker(label, cx, cy));
      if (written.some(([a, b]) => Math.abs(a - cx) < 45 && Math.abs(b - cy) < 9)) continue;
      written.push([cx, cy]);
      parts.push(text(cx > SIZE.width - 60 ? cx - 7 : cx + 7, cy + 3, `${speed > 0 ? "+" : ""}${speed.toFixed(1)} m/s`, cx > SIZE.width - 60 ? "end" : "start"));
    }
    return el("figure", {}, el("figcaption", { class: guilty ? "blamed" : "" }, title),
      svg("svg", { viewBox: `0 0 ${SIZE.width} ${SIZE.height}`, role: "img", "aria-label": title }, ...parts));
  }
}

function marker(label, x, y) {
  const kind = `c${label}`;
  if (label === 1) return svg("circle", { class: kind, cx: x, cy: y, r: 4.5 });
  if (label === 2) return svg("path", { class: kind, d: `M${x} ${y - 5.5}l5.5 10h-11z` });
  return svg("rect", { class: kind, x: x - 4.5, y: y - 4.5, width: 9, height: 9 });
}

function legend() {
  const parts = Object.entries(CLASSES).map(([label, name], place) => [marker(Number(label), 10, 14 + 20 * place), text(22, 18 + 20 * place, name, "start")]);
  return el("figure", {}, el("figcaption", {}, "objects, with radial speed"), svg("svg", { viewBox: "0 0 230 70", role: "img", "aria-label": "key" }, ...parts.flat()));
}

function text(x, y, words, anchor) {
  const made = svg("text", { x, y, "text-anchor": anchor });
  made.textContent = words;
  return made;
}

function upright(x, y, words) {
  const made = text(x, y, words, "middle");
  made.setAttribute("transform", `rotate(-90 ${x} ${y})`);
  return made;
}
