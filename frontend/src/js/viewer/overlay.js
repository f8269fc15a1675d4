/* What is written over a pane: its label, orientation letters, slice, window and a scale bar. */

const BAR_LENGTHS_MM = [1, 2, 5, 10, 20, 50, 100, 200];

function make(parent, className, text = "") {
  const element = document.createElement("div");
  element.className = className;
  element.textContent = text;
  parent.append(element);
  return element;
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
    const bar = make(this.root, "overlay-scale");
    this.barText = make(bar, "overlay-scale-text");
    this.bar = make(bar, "overlay-scale-bar");
    this.error = make(host, "overlay-error", "This slice could not be loaded.");
    this.error.setAttribute("role", "alert");
    for (const letter of Object.values(this.letters)) letter.setAttribute("aria-hidden", "true");
  }

  update(viewer, pane) {
    const { state, geometry } = viewer;
    const letters = geometry.orientationLetters();
    for (const [side, element] of Object.entries(this.letters)) element.textContent = letters[side];
    this.slice.textContent = `Slice ${state.slice + 1} / ${geometry.slices}`;
    const zoom = state.zoom.toFixed(2).replace(/\.?0+$/, "");
    this.window.textContent =
      `W ${Math.round(state.width)}  C ${Math.round(state.center)}` +
      `${zoom === "1" ? "" : `  × ${zoom}`}${state.invert ? "  inverted" : ""}`;
    const scale = viewer.scale(pane);
    const longest = pane.element.clientWidth * 0.25;
    const length = BAR_LENGTHS_MM.findLast((mm) => mm * scale <= longest) ?? BAR_LENGTHS_MM[0];
    this.bar.style.width = `${length * scale}px`;
    this.barText.textContent = length >= 10 ? `${length / 10} cm` : `${length} mm`;
  }
}
