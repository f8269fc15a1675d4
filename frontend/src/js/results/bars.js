/* Means with their spread: a group a row of the table, a bar an arm, brackets of significant q. */
import { make, mark, number, scale, text, ticks, wrapped } from "./svg.js";

const WIDTH = 1000;
const LEFT = 56;
const PLOT = 300;
const TOP = 10;
const LABELS = 52;
const STEP = 17; // of the brackets
const IN_A_LINE = 7;

export function drawBars(spec) {
  const lines = [];
  // SNR and CNR, and long lists, stand one below the other: each line has one axis.
  const axes = [...new Set(spec.groups.map(({ axis }) => axis))];
  for (const axis of axes) {
    const own = spec.groups.filter((group) => group.axis === axis);
    const each = Math.ceil(own.length / Math.ceil(own.length / IN_A_LINE));
    for (let at = 0; at < own.length; at += each) {
      lines.push(oneLine(spec, own.slice(at, at + each), axis));
    }
  }
  return lines;
}

function stacked(group) {
  const heights = group.bars.map(() => 0);
  return [...group.brackets]
    .sort((a, b) => a.to - a.from - (b.to - b.from) || a.from - b.from)
    .map((bracket) => {
      const level = Math.max(...heights.slice(bracket.from, bracket.to + 1));
      heights.fill(level + 1, bracket.from, bracket.to + 1);
      return { ...bracket, level };
    });
}

function oneLine(spec, groups, axis) {
  const reach = ({ value, spread }) => [value - (spread ?? 0), value + (spread ?? 0)];
  const all = groups.flatMap(({ bars }) => bars.filter(({ value }) => value !== null));
  const low = Math.min(0, ...all.map((bar) => reach(bar)[0]));
  const high = Math.max(spec.top ?? 0, ...all.map((bar) => reach(bar)[1])) || 1;
  const brackets = groups.map(stacked);
  const levels = Math.max(0, ...brackets.flat().map(({ level }) => level + 1));
  const top = TOP + levels * STEP + 4;
  const height = top + PLOT + LABELS;
  const y = scale(low, high, top + PLOT, top);
  const svg = make("svg", { viewBox: `0 0 ${WIDTH} ${height}` });
  for (const tick of ticks(low, high)) {
    svg.append(
      make("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y(tick), y2: y(tick) }),
      text(number(tick), { x: LEFT - 8, y: y(tick) + 4, "text-anchor": "end" }),
    );
  }
  svg.append(
    text(axis, { class: "axis", transform: `translate(14 ${top + PLOT / 2}) rotate(-90)` }),
  );
  const slot = (WIDTH - LEFT) / groups.length;
  const width = Math.min((slot * 0.84) / spec.arms.length, 60);
  groups.forEach((group, at) => {
    const middle = LEFT + slot * (at + 0.5);
    const place = (arm) => middle + (arm - (spec.arms.length - 1) / 2) * width;
    for (const bar of group.bars) {
      if (bar.value === null) continue;
      const x = place(bar.arm);
      const [from, to] = reach(bar);
      const parts = [
        make("rect", {
          class: "bar",
          x: x - width * 0.47,
          y: Math.min(y(0), y(bar.value)),
          width: width * 0.94,
          height: Math.max(1, Math.abs(y(bar.value) - y(0))),
          fill: spec.arms[bar.arm].colour,
        }),
      ];
      if (bar.spread !== null) {
        parts.push(
          make("path", {
            class: "ink",
            d: `M${x} ${y(from)}V${y(to)}M${x - 4} ${y(from)}h8M${x - 4} ${y(to)}h8`,
          }),
        );
      }
      svg.append(mark(bar.text, ...parts));
    }
    const roof = Math.min(...group.bars.map((bar) => (bar.value === null ? y(0) : y(reach(bar)[1]))));
    for (const { from, to, label, level } of brackets[at]) {
      const above = roof - 8 - level * STEP;
      svg.append(
        make("path", { class: "ink", d: `M${place(from)} ${above + 4}v-4H${place(to)}v4` }),
        text(label, {
          class: "small",
          x: (place(from) + place(to)) / 2,
          y: above - 3,
          "text-anchor": "middle",
        }),
      );
    }
    svg.append(wrapped(group.label, middle, top + PLOT + 20, Math.max(10, Math.floor(slot / 8))));
  });
  svg.append(make("line", { class: "base", x1: LEFT, x2: WIDTH, y1: y(0), y2: y(0) }));
  return svg;
}
