/* What is written over a pane: its label, orientation letters, slice, window and a scale bar. */

const BAR_LENGTHS_MM = [1, 2, 5, 10, 20, 50, 100, 200];
const BAR_SHARE = 0.25; // of the pane's width at most

function make(parent, className, text = "") {
  const element = document.createElement("div");
  element.className = className;
  element.textContent = text;
  parent.append(element);
  return element;
}

/* Writing the same text again would cost a layout in every frame. */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export class Overlay {
  constructor(host, label) {
    this.root = make(host, "overlay");
    this.label = make(this.root, "overlay-label", label);
    this.slice = make(this.root, "overlay-slice");
    this.window = make(this.root, "overlay-window");
    this.letters = Object.fromEntries(
      ["left", "right", "top", "bottom"].map((side) => [
        side,
        make(this.root, `overlay-letter overlay-letter-${side}`),
      ]),
    );
    this.scale = make(this.root, "overlay-scale");
    this.barText = make(this.scale, "overlay-scale-text");
    this.bar = make(this.scale, "overlay-scale-bar");
    this.waiting = make(this.root, "overlay-waiting", "Loading…");
    this.error = make(host, "overlay-error", "This slice could not be loaded.");
    this.error.setAttribute("role", "alert");
    for (const letter of Object.values(this.letters)) letter.setAttribute("aria-hidden", "true");
  }

  update(viewer, pane) {
    const { state } = pane;
    const { geometry } = viewer;
    if (this.geometry !== geometry) {
      const letters = geometry.orientationLetters();
      for (const [side, element] of Object.entries(this.letters)) write(element, letters[side]);
      this.geometry = geometry;
    }
    write(this.slice, `Slice ${state.slice + 1} / ${geometry.slices}`);
    const placed = viewer.placed(pane);
    write(this.window, this.windowText(state, zoomText(viewer, pane, placed)));
    this.waiting.hidden = !pane.waiting;
    pane.element.classList.toggle("is-failed", pane.failed);
    pane.element.classList.toggle("is-waiting", pane.waiting);
    this.drawBar(viewer.sizeOf(pane).width, placed.scale);
  }

  windowText({ width, center, invert }, zoom) {
    const parts = [`W ${Math.round(width)}`, `C ${Math.round(center)}`];
    if (zoom) parts.push(zoom);
    if (invert) parts.push("inverted");
    return parts.join("  ");
  }

  drawBar(paneWidth, scale) {
    const longest = paneWidth * BAR_SHARE;
    const length = BAR_LENGTHS_MM.findLast((mm) => mm * scale <= longest) ?? BAR_LENGTHS_MM[0];
    const pixels = `${(length * scale).toFixed(1)}px`;
    if (this.bar.style.width !== pixels) this.bar.style.width = pixels;
    write(this.barText, length >= 10 ? `${length / 10} cm` : `${length} mm`);
  }
}

/** Exact pixels say how many screen pixels an image pixel has; else how far the zoom is from fit. */
function zoomText(viewer, pane, placed) {
  const { smooth, zoom } = pane.state;
  if (!smooth) return `${Math.round(placed.x * viewer.sizeOf(pane).ratio)}:1`;
  const shown = zoom.toFixed(2).replace(/\.?0+$/, "");
  return shown === "1" ? "" : `× ${shown}`;
}
