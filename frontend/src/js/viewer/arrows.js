/* Arrows over a pane, drawn where their points in patient millimetres lie. */

const SVG = "http://www.w3.org/2000/svg";
const HEAD_PIXELS = 13;
const HEAD_ANGLE = 0.42; // radians from the shaft

function make(tag, className, parent) {
  const element = document.createElementNS(SVG, tag);
  element.setAttribute("class", className);
  parent.append(element);
  return element;
}

/** The path of an arrow from [x, y] to [x, y] on the screen, its head as two strokes. */
function pathOf([fromX, fromY], [toX, toY]) {
  const angle = Math.atan2(toY - fromY, toX - fromX);
  const wing = (turn) =>
    `M${toX.toFixed(1)} ${toY.toFixed(1)}` +
    `L${(toX - HEAD_PIXELS * Math.cos(angle + turn)).toFixed(1)} ` +
    `${(toY - HEAD_PIXELS * Math.sin(angle + turn)).toFixed(1)}`;
  return (
    `M${fromX.toFixed(1)} ${fromY.toFixed(1)}L${toX.toFixed(1)} ${toY.toFixed(1)}` +
    wing(HEAD_ANGLE) +
    wing(-HEAD_ANGLE)
  );
}

export class Arrows {
  constructor(host) {
    this.svg = make("svg", "arrows", host);
    this.svg.setAttribute("role", "img");
    this.svg.setAttribute("aria-label", "0 arrows on this slice"); // before the first drawing, too
    this.shown = "";
  }

  /**
   * `marks`: {tail, head, label} of the slice that the pane shows; `draft`: {tail?, head, cross}
   * in pixel positions, while one is being placed.
   */
  update(viewer, pane, marks, draft) {
    const drawn = marks.map(({ tail, head, label }) => ({
      label,
      from: viewer.toScreen(pane, viewer.geometry.toPixel(tail)),
      to: viewer.toScreen(pane, viewer.geometry.toPixel(head)),
    }));
    const cross = draft && viewer.toScreen(pane, draft.cross);
    if (draft?.head) {
      drawn.push({
        label: "",
        from: viewer.toScreen(pane, draft.tail),
        to: viewer.toScreen(pane, draft.head),
      });
    }
    const key = JSON.stringify([drawn, cross]);
    if (key === this.shown) return;
    this.shown = key;
    this.svg.replaceChildren();
    this.svg.setAttribute(
      "aria-label",
      drawn.length === 1 ? "1 arrow on this slice" : `${drawn.length} arrows on this slice`,
    );
    this.svg.toggleAttribute("hidden", !drawn.length && !cross);
    for (const { from, to, label } of drawn) this.drawArrow(from, to, label);
    if (cross) this.drawCross(cross);
  }

  drawArrow(from, to, label) {
    const d = pathOf(from, to);
    make("path", "arrow-under", this.svg).setAttribute("d", d);
    make("path", "arrow", this.svg).setAttribute("d", d);
    if (!label) return;
    const text = make("text", "arrow-label", this.svg);
    const away = Math.hypot(from[0] - to[0], from[1] - to[1]) || 1;
    text.setAttribute("x", (from[0] + ((from[0] - to[0]) / away) * 11).toFixed(1));
    text.setAttribute("y", (from[1] + ((from[1] - to[1]) / away) * 11 + 4).toFixed(1));
    text.textContent = label;
  }

  drawCross([x, y]) {
    const d = `M${x - 14} ${y}H${x - 4}M${x + 4} ${y}H${x + 14}M${x} ${y - 14}V${y - 4}M${x} ${y + 4}V${y + 14}`;
    make("path", "arrow-under", this.svg).setAttribute("d", d);
    make("path", "arrow-cross", this.svg).setAttribute("d", d);
  }
}
