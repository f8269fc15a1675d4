/* Points with lines across: one panel a comparison. */
import { make, mark, number, scale, text, ticks } from "./svg.js";

const WIDTH = 490;
const HEIGHT = 330;
const LEFT = 58;
const TOP = 28;
const BOTTOM = 46;

export function drawScatter(spec) {
  return spec.panels.map((panel) => {
    const xs = panel.points.map((point) => point.x);
    const ys = [...panel.points.map((point) => point.y), ...panel.lines.map((line) => line.value)];
    const spread = (values) => {
      const [low, high] = [Math.min(...values), Math.max(...values)];
      const room = (high - low) * 0.08 || 1;
      return [low - room, high + room];
    };
    const [west, east] = spread(xs);
    const [south, north] = spread(ys);
    const x = scale(west, east, LEFT, WIDTH - 12);
    const y = scale(south, north, HEIGHT - BOTTOM, TOP);
    const svg = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "data-half": "1" });
    svg.append(text(panel.title, { class: "head", x: LEFT, y: 16 }));
    for (const tick of ticks(south, north)) {
      svg.append(
        make("line", { class: "grid", x1: LEFT, x2: WIDTH - 12, y1: y(tick), y2: y(tick) }),
        text(number(tick), { x: LEFT - 8, y: y(tick) + 4, "text-anchor": "end" }),
      );
    }
    for (const tick of ticks(west, east)) {
      svg.append(text(number(tick), { x: x(tick), y: HEIGHT - BOTTOM + 18, "text-anchor": "middle" }));
    }
    for (const { value, dashed } of panel.lines) {
      svg.append(
        make("line", {
          class: dashed ? "base dashed" : "base",
          x1: LEFT,
          x2: WIDTH - 12,
          y1: y(value),
          y2: y(value),
        }),
        text(number(Number(value.toPrecision(3))), {
          class: "small",
          x: WIDTH - 14,
          y: y(value) - 4,
          "text-anchor": "end",
        }),
      );
    }
    for (const point of panel.points) {
      svg.append(
        mark(
          point.text,
          make("circle", {
            class: point.strong ? "point strong" : "point",
            cx: x(point.x),
            cy: y(point.y),
            r: point.strong ? 8 : 5,
            fill: point.strong ? "#D55E00" : "#0072B2",
          }),
        ),
      );
    }
    svg.append(
      text(spec.x, { class: "axis", x: (LEFT + WIDTH) / 2, y: HEIGHT - 8 }),
      text(spec.y, { class: "axis", transform: `translate(14 ${HEIGHT / 2}) rotate(-90)` }),
    );
    return svg;
  });
}
