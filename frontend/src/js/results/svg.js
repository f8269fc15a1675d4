/* Elements of a drawing, scales, and what all figures share. */

const SPACE = "http://www.w3.org/2000/svg";

export function make(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export function text(words, attributes = {}) {
  return make("text", attributes, words);
}

/** A function from values to places. */
export function scale(low, high, from, to) {
  const span = high - low || 1;
  return (value) => from + ((value - low) / span) * (to - from);
}

/** Round values that cover a range, about so many. */
export function ticks(low, high, about = 5) {
  const raw = (high - low || 1) / about;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= raw);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-6; at += 1) {
    found.push(Number((at * step).toPrecision(12)));
  }
  return found;
}

export function number(value) {
  return String(Number(value.toPrecision(6))).replace("-", "−");
}

/** Something to point at: its words, and a place in the order of the arrow keys. */
export function mark(words, ...children) {
  return make("g", { class: "mark", tabindex: "-1", role: "img", "aria-label": words }, ...children);
}

/** A label on as many lines as it needs, in the middle of `x`. */
export function wrapped(words, x, y, most = 14) {
  const lines = [];
  for (const word of words.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < most) lines[lines.length - 1] += ` ${word}`;
    else lines.push(word);
  }
  return make(
    "text",
    { x, y, "text-anchor": "middle" },
    ...lines.map((line, index) => make("tspan", { x, dy: index ? "1.15em" : 0 }, line)),
  );
}
