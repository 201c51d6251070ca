// The page: listens to the server, keeps what it is told, and draws the round that is chosen.

import { Board } from "./board.js";
import { LineChart } from "./charts.js";
import { card, credits, el, naturally, number, percent } from "./format.js";
import { History } from "./history.js";
import { KINDS, People, kindOf } from "./people.js";
import { TwinCard } from "./twin.js";

const history = new History();
const $ = (name) => document.getElementById(name);
const view = { place: -1, follow: true, playing: null, parts: null, drawn: -1, asked: false };

function listen() {
  const source = new EventSource("events");
  const on = (name, take) => source.addEventListener(name, (event) => { take(JSON.parse(event.data)); ask(); });
  on("head", (head) => history.begin(head));
  on("rounds", (rows) => history.add(rows));
  on("epsilon", (values) => history.set("epsilon", values));
  on("board", (board) => history.set("board", board));
  on("status", (status) => history.set("status", status));
  on("end", () => source.close());
  source.addEventListener("error", () => {
    if (history.over) {
      source.close();
      return;
    }
    if (source.readyState === EventSource.CLOSED || history.head) {
      source.close();
      history.set("status", { state: "lost", message: "The run does not answer any more: it was ended from outside. What is shown is what it said last." });
      ask();
    }
  });
}

function ask() {
  if (view.asked) return;
  view.asked = true;
  setTimeout(() => requestAnimationFrame(() => { view.asked = false; draw(); }), 60);
}

const PERCENT = (u, low, high) => [0, 100];
const CLOSE = (u, low, high) => {
  const step = 0.05;
  return [Math.max(0, Math.floor(((low ?? 0) - 0.01) / step) * step), Math.min(1, Math.ceil(((high ?? 1) + 0.01) / step) * step)];
};
const FROM_ZERO = (u, low, high) => [0, Math.max(1, (high ?? 1) * 1.08)];

function lines(place, title, note, options) {
  const made = card(title, note);
  place.append(made.made);
  return new LineChart(made.body, options);
}

function clinics(place) {
  const share = (name) => (h) => h.metric(name).map((value) => (value === null ? null : 100 * value));
  const flat = (value) => (h) => h.rows.map(() => 100 * value);
  const floors = history.head.floors || {};
  return [lines(place, "Accuracy", "On records held out at the server. Dotted: floors that need no training.", {
    y: "held-out (%)", range: PERCENT,
    series: () => [
      { label: "accuracy", colour: "blue", width: 3, values: share("accuracy") },
      { label: "sensitivity (diseased found)", colour: "red", values: share("sensitivity") },
      { label: "specificity (healthy cleared)", colour: "green", values: share("specificity") },
      ...(floors.majority ? [{ label: `always the commoner class, ${percent(floors.majority)}`, colour: "grey", dash: [3, 4], values: flat(floors.majority) }] : []),
      ...(floors.mean_rule ? [{ label: `mean of attributes ≥ 3, ${percent(floors.mean_rule)}`, colour: "orange", dash: [3, 4], values: flat(floors.mean_rule) }] : []),
    ],
  })];
}

// What the clinic that uploaded most has spent; null until the server has worked it out.
const spentMost = (h) => h.rows.map((row) => {
  const value = h.epsilon[String(Math.max(0, ...Object.values(row.uploads || {})))];
  return value === undefined ? null : value;
});

function privacy(place) {
  const { mechanism, nominal, delta, unit } = history.head.epsilon;
  const claim = mechanism === "global-dp" ? "the paper's claim for the whole run" : "asked for";
  return [lines(place, "Privacy spent", `By the clinic that uploaded most: ε of one ${unit}, proven against a curious server, δ = ${delta}.`, {
    y: `ε (δ = ${delta})`, range: FROM_ZERO,
    series: () => [
      { label: "proven so far", colour: "pink", width: 3, values: spentMost },
      { label: `${claim}, ${number(nominal)}`, colour: "grey", dash: [3, 4], values: (h) => h.rows.map(() => nominal) },
    ],
  })];
}

function market(place) {
  const ofKind = (kind) => (h) => h.rows.map((row) => {
    const wins = Object.entries(row.wins || {});
    const all = wins.reduce((sum, [, count]) => sum + count, 0);
    const own = wins.reduce((sum, [name, count]) => sum + (String(h.head.kinds[name]) === kind ? count : 0), 0);
    return all ? (100 * own) / all : null;
  });
  const found = [];
  if (history.head.kinds) {
    found.push(lines(place, "Who sells", "Share of all deliveries so far, by type of device. The types are the experimenter's knowledge: no strategy sees them.", {
      y: "deliveries so far (%)", range: PERCENT,
      series: () => Object.entries(KINDS).map(([kind, { label, colour }]) => ({ label, colour, width: 3, values: ofKind(kind) })),
    }));
  }
  found.push(lines(place, "Complaints", "Of users about cubes of the twin, and devices blamed for them.", {
    y: "complaints (a round)", range: FROM_ZERO,
    series: () => [
      { label: "complaints", colour: "red", width: 1.5, values: (h) => h.metric("clients-complaints") },
      { label: "devices blamed", colour: "blue", width: 1.5, values: (h) => h.metric("clients-blamed") },
    ],
  }));
  return found;
}

function money(place) {
  return [lines(place, "Payments", "To all winners of a round. One credit is 1,000,000 micro-credits.", {
    y: "paid (credits a round)", range: FROM_ZERO,
    series: () => [{ label: "paid", colour: "green", width: 1.5, values: (h) => h.metric("paid").map((value) => (value === null ? null : value / 1e6)) }],
  })];
}

const PALETTE = ["blue", "orange", "green", "red", "pink", "sky", "grey"];

function reputations(place) {
  const threshold = history.head.threshold;
  return [lines(place, "Reputations", "One line for each participant. Below the dotted line nobody is trusted.", {
    y: "reputation (0–1)", range: CLOSE, sorted: true, signature: (h) => h.names("reputations").length,
    series: (h) => [
      ...h.names("reputations").sort(naturally).map((name, place_) => {
        const kind = kindOf(h.head, name);
        return { label: kind ? kind.label : "", colour: kind ? kind.colour : PALETTE[place_ % PALETTE.length], width: 1.2,
          values: (now) => now.rows.map((row) => (row.reputations || {})[name] ?? null) };
      }),
      ...(threshold ? [{ label: `trusted from ${threshold}`, colour: "ink", dash: [3, 4], width: 1.5, values: (now) => now.rows.map(() => threshold) }] : []),
    ],
  })];
}

// Cards appear with what they show: a layer that is not there leaves no empty frame.
function compose() {
  const place = $("cards");
  const parts = { place, charts: [], have: new Set() };
  if (history.head.kind === "compare") {
    parts.board = new Board();
    place.append(parts.board.leaders.made, parts.board.cells.made);
    return parts;
  }
  parts.now = card("This round", "", true);
  parts.figures = el("div", { class: "figures" });
  parts.now.body.append(parts.figures);
  place.append(parts.now.made);
  parts.charts.push(...(history.head.market ? market(place) : clinics(place)));
  return parts;
}

function grow(parts) {
  const once = (name, there, make) => {
    if (there && !parts.have.has(name)) { parts.have.add(name); make(); }
  };
  once("reputations", history.has("reputations") && history.names("reputations").length, () => parts.charts.push(...reputations(parts.place)));
  once("privacy", history.head.epsilon && history.has("uploads"), () => parts.charts.push(...privacy(parts.place)));
  once("money", history.metric("paid").some((value) => value !== null), () => parts.charts.push(...money(parts.place)));
  once("people", history.has("uploads") || history.has("reputations") || history.has("offers"), () => {
    parts.people = new People(history);
    parts.place.append(parts.people.card.made);
  });
  once("twin", history.head.grid && history.has("covers"), () => {
    parts.twin = new TwinCard(history);
    parts.place.append(parts.twin.card.made);
  });
}

const FIGURES = [
  ["accuracy", "accuracy", percent], ["sensitivity", "sensitivity", percent], ["specificity", "specificity", percent],
  ["auc", "AUC", percent], ["loss", "loss (log)", number], ["delivered", "devices delivered", number],
  ["covered", "cubes known", number], ["offers", "offers", number], ["winners", "winners", number],
  ["paid", "paid (credits)", credits], ["auction-welfare", "welfare (credits)", credits],
  ["trusted", "trusted", number], ["clients-rated", "users rated", number],
  ["clients-complaints", "complaints", number], ["clients-blamed", "blamed", number],
];

function figures(row) {
  const found = FIGURES.filter(([name]) => row.metrics[name] !== undefined)
    .map(([name, label, show]) => el("div", {}, el("b", {}, show(row.metrics[name])), el("span", {}, label)));
  found.push(el("div", {}, el("b", {}, `${(1000 * row.seconds).toFixed(1)}`), el("span", {}, "milliseconds")));
  if (row.merged) found.push(el("div", {}, el("b", {}, number(row.merged.length)), el("span", {}, "replies used")));
  found.push(el("div", {}, el("b", {}, number(row.unused_count)), el("span", {}, "replies not used")));
  return found;
}

function draw() {
  const { head, status } = history;
  tell(status);
  if (!head) return;
  if (!view.parts) {
    view.parts = compose();
    $("title").textContent = head.title;
    document.title = head.title;
    $("settings").replaceChildren(...Object.entries(head.settings).filter(([, value]) => value !== "")
      .map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, String(value)))));
  }
  if (view.parts.board) {
    if (history.board) {
      view.parts.board.update(history.board, history.over);
      $("progress").hidden = history.over;
      $("progress").firstElementChild.style.width = `${(100 * (history.board.done + history.board.failed)) / history.board.total}%`;
    }
    return;
  }
  if (!history.rows.length) return;
  grow(view.parts);
  if (view.follow || view.place >= history.rows.length) view.place = history.rows.length - 1;
  const row = history.rows[view.place];
  player(row);
  const unused = row.unused.slice(0, 3).map((verdict) => `${verdict.identity}: ${verdict.reason}`);
  view.parts.now.say(unused.length ? `Not used: ${unused.join("; ")}${row.unused_count > 3 ? `; ${row.unused_count - 3} more` : ""}` : "All replies were used.");
  view.parts.figures.replaceChildren(...figures(row));
  for (const chart of view.parts.charts) chart.update(history, row.round);
  if (view.parts.people) view.parts.people.update(history, row);
  if (view.parts.twin) view.parts.twin.update(history, row);
}

function tell(status) {
  const playback = history.head && history.head.mode === "playback" && status.state === "finished";
  const words = playback ? "playback" : status.state === "lost" ? "no answer" : status.state;
  $("state").textContent = words;
  $("state").className = `pill ${status.state}`;
  const again = status.again ? `Play it back: ${status.again}` : "";
  const failed = { failed: "The run failed: ", interrupted: "" }[status.state] ?? "";
  const text = [failed + status.message, again].filter(Boolean).join(" ");
  $("message").textContent = text;
  $("message").className = status.state;
  $("message").hidden = !text;
}

function player(row) {
  $("player").hidden = false;
  $("slider").max = String(history.rows.length - 1);
  $("slider").value = String(view.place);
  $("round").textContent = `round ${row.round} of ${history.head.rounds}`;
  $("play").hidden = !history.over;
  $("play").textContent = view.playing ? "pause" : "play";
  $("follow").hidden = view.follow || history.over;
  $("progress").hidden = history.over;
  const last = history.rows[history.rows.length - 1];
  $("progress").firstElementChild.style.width = `${(100 * last.round) / history.head.rounds}%`;
}

function stop() {
  clearInterval(view.playing);
  view.playing = null;
}

$("slider").addEventListener("input", (event) => {
  stop();
  view.place = Number(event.target.value);
  view.follow = !history.over && view.place === history.rows.length - 1;
  ask();
});
$("follow").addEventListener("click", () => { view.follow = true; ask(); });
$("play").addEventListener("click", () => {
  if (view.playing) { stop(); ask(); return; }
  view.follow = false;
  if (view.place >= history.rows.length - 1) view.place = 0;
  const step = Math.max(1, Math.ceil(history.rows.length / 300));
  view.playing = setInterval(() => {
    view.place = Math.min(view.place + step, history.rows.length - 1);
    if (view.place === history.rows.length - 1) stop();
    ask();
  }, 100);
  ask();
});

listen();
