// Lines over rounds, by uPlot: every axis has its name and unit, a rule marks the round shown.

import { colour, el } from "./format.js";

const HEIGHT = 250;
const charts = new Set();

export class LineChart {
  // series: [{label, colour, dash, values: (history) => [..]}], made anew when `signature` changes
  constructor(place, { y, range, series, signature, sorted }) {
    this.y = y;
    this.range = range;
    this.sorted = sorted;
    this.series = series;
    this.signature = signature || (() => "");
    this.place = place;
    this.canvas = el("div", { class: "chart" });
    this.key = el("div", { class: "key" });
    place.append(this.canvas, this.key);
    this.round = null;
    charts.add(this);
    new ResizeObserver(() => this.resize()).observe(this.canvas);
  }

  resize() {
    const width = Math.floor(this.canvas.clientWidth);
    if (this.plot && width > 0 && width !== this.plot.width) this.plot.setSize({ width, height: HEIGHT });
  }

  update(history, round) {
    this.history = history;
    this.round = round;
    const signature = this.signature(history);
    if (!this.plot || signature !== this.made) this.build(history, signature);
    if (history.version !== this.drawn) {
      this.drawn = history.version;
      this.plot.setData(this.data());
    } else {
      this.plot.redraw(false);
    }
  }

  data() {
    const rounds = this.history.rows.map((row) => row.round);
    return [rounds, ...this.shown.map((line) => line.values(this.history))];
  }

  build(history, signature) {
    this.made = signature;
    this.drawn = null;
    this.shown = this.series(history);
    if (this.plot) this.plot.destroy();
    const soft = colour("soft");
    const axis = {
      stroke: soft, labelFont: "13px system-ui", font: "12px system-ui", labelSize: 22,
      grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1, size: 5 },
    };
    const width = Math.max(200, Math.floor(this.canvas.clientWidth));
    this.plot = new uPlot({
      width, height: HEIGHT, cursor: { show: false }, legend: { show: false }, pxAlign: 0,
      scales: { x: { time: false, range: (u, low, high) => [low ?? 0, Math.max(high ?? 1, (low ?? 0) + 1)] },
                y: { range: this.range } },
      axes: [
        { ...axis, label: "round", size: 34, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 1e4, 1e5, 1e6] },
        { ...axis, label: this.y, size: 52 },
      ],
      series: [{}, ...this.shown.map((line) => ({
        stroke: colour(line.colour), width: line.width || 2, dash: line.dash, spanGaps: true,
        points: { show: (u) => u.data[0].length < 3 },
      }))],
      hooks: { draw: [(u) => this.rule(u)] },
    }, [[], ...this.shown.map(() => [])], this.canvas);
    const keys = new Map(this.shown.filter((line) => line.label).map((line) => [line.label, line]));
    this.key.replaceChildren(...[...keys.values()].sort((a, b) => this.sorted ? a.label.localeCompare(b.label) : 0).map((line) => {
      const mark = el("i", { class: line.dash ? "dash" : "" });
      mark.style.borderColor = colour(line.colour);
      return el("span", {}, mark, line.label);
    }));
  }

  rule(u) {
    if (this.round === null || u.data[0].length < 2) return;
    const x = u.valToPos(this.round, "x", true);
    const { ctx } = u;
    ctx.save();
    ctx.setLineDash([]);
    ctx.strokeStyle = colour("soft");
    ctx.lineWidth = devicePixelRatio;
    ctx.beginPath();
    ctx.moveTo(x, u.bbox.top);
    ctx.lineTo(x, u.bbox.top + u.bbox.height);
    ctx.stroke();
    ctx.restore();
  }
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const chart of charts) {
    if (chart.history) {
      chart.made = null;
      chart.update(chart.history, chart.round);
    }
  }
});
