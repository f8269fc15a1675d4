/* Shares that add up to a whole: a bar an arm under each criterion. */
import { make, mark, scale, text, ticks } from "./svg.js";

const WIDTH = 1000;
const LEFT = 210;
const LINE = 21;
const HEAD = 26;
const BOTTOM = 40;

export function drawStack(spec) {
  const x = scale(0, 1, LEFT, WIDTH - 20);
  const tall = spec.groups.reduce((sum, { lines }) => sum + HEAD + lines.length * LINE, 0);
  const svg = make("svg", { viewBox: `0 0 ${WIDTH} ${tall + BOTTOM}` });
  let y = 0;
  for (const { label, lines } of spec.groups) {
    svg.append(text(label, { class: "head", x: LEFT, y: y + 18 }));
    y += HEAD;
    for (const line of lines) {
      svg.append(text(line.label, { x: LEFT - 10, y: y + 14, "text-anchor": "end" }));
      let left = 0;
      line.parts.forEach((part, at) => {
        if (!part.count) return;
        const { colour, dark } = spec.points[at];
        const parts = [
          make("rect", {
            class: "part",
            x: x(left),
            y,
            width: x(left + part.share) - x(left),
            height: LINE - 3,
            fill: colour,
          }),
        ];
        if (part.share >= 0.045) {
          parts.push(
            text(Math.round(100 * part.share), {
              class: dark ? "small on-dark" : "small on-light",
              x: x(left + part.share / 2),
              y: y + 13,
              "text-anchor": "middle",
            }),
          );
        }
        svg.append(mark(part.text, ...parts));
        left += part.share;
      });
      y += LINE;
    }
  }
  for (const tick of ticks(0, 1)) {
    svg.append(text(`${Math.round(100 * tick)} %`, { x: x(tick), y: y + 18, "text-anchor": "middle" }));
  }
  return [svg];
}
