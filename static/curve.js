// The learning curve: accuracy with its 95 % interval against labels, drawn by uPlot in the page's own colours.

import uPlot from "./vendor/uPlot.esm.js";
import { percent } from "./words.js";

const HEIGHT = 280;
const dark = matchMedia("(prefers-color-scheme: dark)");

export class Curve {
  #place;
  #data = [[], [], [], []];
  #plot = null;
  #read;

  /** `read(text)` gets the values under the pointer. */
  constructor(place, read) {
    this.#place = place;
    this.#read = read;
    dark.addEventListener("change", () => this.#draw());
    new ResizeObserver(() => this.#plot?.setSize(this.#size())).observe(place);
  }

  /** Rounds with an accuracy, in order. */
  show(rounds) {
    const column = (name) => rounds.map((round) => round[name]);
    this.#data = [column("labels"), column("low"), column("high"), column("accuracy")];
    if (this.#plot) this.#plot.setData(this.#data);
    else this.#draw();
  }

  #draw() {
    if (!this.#data[0].length) return;
    this.#plot?.destroy();
    this.#plot = new uPlot({ ...options(), ...this.#size(), hooks: this.#hooks() }, this.#data, this.#place);
  }

  #hooks() {
    return { setLegend: [(plot) => this.#tell(plot)], drawAxes: [whiskers] };
  }

  #size() {
    return { width: Math.max(this.#place.clientWidth, 200), height: HEIGHT };
  }

  #tell({ cursor: { idx } }) {
    const last = this.#data[0].length - 1;
    const [labels, low, high, accuracy] = this.#data.map((column) => column[idx ?? last]);
    this.#read(`${labels} labels: ${percent(accuracy)} (95 % interval ${percent(low)} to ${percent(high)})`);
  }
}

function options() {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: color("--muted"),
    grid: { stroke: color("--line"), width: 1 },
    ticks: { show: false },
    font: "12px system-ui",
  };
  const edge = { stroke: "transparent", points: { show: false } };
  return {
    legend: { show: false, live: true },
    cursor: { drag: { x: false, y: false }, y: false, points: { size: 9 } },
    scales: { x: { time: false, range: xRange }, y: { range: yRange } },
    axes: [
      { ...axis, label: "labels", size: 28, labelSize: 20, labelGap: 0, labelFont: "12px system-ui" },
      { ...axis, size: 56, values: (plot, ticks) => ticks.map((tick) => `${Math.round(100 * tick)} %`) },
    ],
    series: [
      {},
      edge,
      edge,
      { stroke: color("--accent"), width: 2.5, points: { show: true, size: 7, fill: color("--accent") } },
    ],
    bands: [{ series: [2, 1], fill: color("--accent-soft") }],
  };
}

/** The interval of each point as a vertical line: a single point has no band. */
function whiskers(plot) {
  const { ctx } = plot;
  ctx.save();
  ctx.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--accent");
  ctx.globalAlpha = 0.35;
  ctx.lineWidth = 2 * devicePixelRatio;
  ctx.beginPath();
  plot.data[0].forEach((labels, i) => {
    const x = plot.valToPos(labels, "x", true);
    ctx.moveTo(x, plot.valToPos(plot.data[1][i], "y", true));
    ctx.lineTo(x, plot.valToPos(plot.data[2][i], "y", true));
  });
  ctx.stroke();
  ctx.restore();
}

function xRange(plot, min, max) {
  return [0, Math.max(max * 1.03, 10)];
}

/** From the tens below the lowest bound up to 100 %. */
function yRange(plot, min) {
  return [Math.max(0, Math.floor(min * 10 - 0.2) / 10), 1];
}
