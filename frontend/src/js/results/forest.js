/* Estimates with their intervals, one under the other. */
import { make, mark, number, scale, text, ticks } from "./svg.js";

const WIDTH = 1000;
const LEFT = 210;
const RIGHT = 52;
const LINE = 18;
const BETWEEN = 14;
const TOP = 8;
const BOTTOM = 46;

export function drawForest(spec) {
  const all = spec.groups.flatMap(({ points }) => points);
  const values = all.flatMap(({ value, low, high }) => [value, low, high]).filter((one) => one !== null);
  for (const one of [spec.zero, ...spec.margins]) if (typeof one === "number") values.push(one);
  const low = Math.min(...values);
  const high = Math.max(...values);
  const room = (high - low) * 0.05 || 0.5;
  const x = scale(low - room, high + room, LEFT, WIDTH - RIGHT);
  const tall = spec.groups.reduce((sum, { points }) => sum + points.length * LINE + BETWEEN, 0);
  const svg = make("svg", { viewBox: `0 0 ${WIDTH} ${TOP + tall + BOTTOM}` });
  const foot = TOP + tall;
  for (const tick of ticks(low - room, high + room)) {
    svg.append(
      make("line", { class: "grid", x1: x(tick), x2: x(tick), y1: TOP, y2: foot }),
      text(number(tick), { x: x(tick), y: foot + 18, "text-anchor": "middle" }),
    );
  }
  if (typeof spec.zero === "number") {
    svg.append(make("line", { class: "base", x1: x(spec.zero), x2: x(spec.zero), y1: TOP, y2: foot }));
  }
  for (const margin of spec.margins) {
    svg.append(make("line", { class: "base dashed", x1: x(margin), x2: x(margin), y1: TOP, y2: foot }));
  }
  if (all.some(({ n }) => typeof n === "number")) {
    svg.append(text("n", { class: "axis", x: WIDTH - 8, y: foot + 18, "text-anchor": "end" }));
  }
  let y = TOP + BETWEEN / 2;
  for (const { label, points } of spec.groups) {
    svg.append(
      text(label, { x: LEFT - 14, y: y + (points.length * LINE) / 2 + 4, "text-anchor": "end" }),
    );
    for (const point of points) {
      const middle = y + LINE / 2;
      const { colour } = spec.series[point.series];
      const bounded = point.low !== null;
      const parts = [
        // Room to point at.
        make("rect", { class: "reach", x: LEFT, y, width: WIDTH - LEFT - RIGHT, height: LINE }),
      ];
      if (bounded) {
        parts.push(make("path", { class: "ink", d: `M${x(point.low)} ${middle}H${x(point.high)}` }));
      }
      if (point.value !== null) {
        parts.push(
          make("circle", {
            class: "point",
            cx: x(point.value),
            cy: middle,
            r: 5.5,
            fill: bounded ? colour : "#ffffff",
            stroke: bounded ? "#17212b" : colour,
          }),
        );
      }
      if (typeof point.n === "number") {
        parts.push(text(String(point.n), { x: WIDTH - 8, y: middle + 4, "text-anchor": "end" }));
      }
      svg.append(mark(point.text, ...parts));
      y += LINE;
    }
    y += BETWEEN;
  }
  svg.append(text(spec.axis, { class: "axis", x: (LEFT + WIDTH) / 2, y: foot + 38 }));
  return [svg];
}
