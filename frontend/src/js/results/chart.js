/* A figure from its numbers, and the keys that lead from mark to mark. */
import { drawBars } from "./bars.js";
import { drawForest } from "./forest.js";
import { drawScatter } from "./scatter.js";
import { drawStack } from "./stack.js";

const KINDS = { bars: drawBars, forest: drawForest, scatter: drawScatter, stack: drawStack };

function legendOf(entries) {
  const list = document.createElement("ul");
  list.className = "chart-legend";
  for (const { label, colour } of entries) {
    const swatch = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    swatch.setAttribute("viewBox", "0 0 10 10");
    swatch.setAttribute("class", "swatch");
    swatch.setAttribute("aria-hidden", "true");
    const square = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [name, value] of Object.entries({ width: 10, height: 10, fill: colour })) {
      square.setAttribute(name, value);
    }
    swatch.append(square);
    const item = document.createElement("li");
    item.append(swatch, label);
    list.append(item);
  }
  return list;
}

export function draw(host, spec, tip, name) {
  const entries = spec.arms ?? spec.series ?? spec.points ?? [];
  const drawings = KINDS[spec.kind](spec).map((svg) => {
    svg.setAttribute("class", "chart-drawing");
    return svg;
  });
  host.replaceChildren(...(entries.length ? [legendOf(entries)] : []), ...drawings);
  const marks = [...host.querySelectorAll(".mark")];
  host.setAttribute("role", "group");
  host.setAttribute("aria-label", `${name}, ${marks.length} marks`);
  walk(host, marks);
  for (const one of marks) tip.describe(one, one.getAttribute("aria-label"));
  host.dataset.ready = "1";
}

/** One mark is in the order of Tab; the arrow keys lead on from it. */
function walk(host, marks) {
  if (!marks.length) return;
  marks[0].setAttribute("tabindex", "0");
  const go = (to) => {
    for (const one of marks) one.setAttribute("tabindex", one === to ? "0" : "-1");
    to.focus();
  };
  host.addEventListener("keydown", (event) => {
    const at = marks.indexOf(document.activeElement);
    const next = {
      ArrowRight: at + 1,
      ArrowDown: at + 1,
      ArrowLeft: at - 1,
      ArrowUp: at - 1,
      Home: 0,
      End: marks.length - 1,
    }[event.key];
    if (at < 0 || next === undefined || !marks[next]) return;
    event.preventDefault();
    go(marks[next]);
  });
  host.addEventListener("click", (event) => {
    const found = event.target.closest(".mark");
    if (found) go(found);
  });
}
