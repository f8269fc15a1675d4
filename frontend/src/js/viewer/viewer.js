/*
 * Linked panes. One view state (slice, window, zoom, pan, inversion, interpolation) is the truth;
 * every pane draws it. Panes do not listen to each other, so they cannot drift apart, and what
 * belongs to the pane (window, zoom, pan) cannot be lost when the slice changes.
 */
import { cornerstone, registerStack, releaseStack, start } from "./cornerstone.js";
import { loadSlice, sliceUrl } from "./pixels.js";

const ZOOM_RANGE = [0.5, 20];
const clamp = (value, [low, high]) => Math.min(high, Math.max(low, value));
let engines = 0;

export class Viewer extends EventTarget {
  constructor() {
    super();
    this.panes = [];
    this.state = null;
    this.drawing = null;
    this.dirty = false;
  }

  /**
   * Show `panes` ({element, slices}) of one case. `window` is the case's initial window
   * ({center, width}); `slice` the slice to start on.
   */
  async open({ geometry, window, panes, slice }) {
    await start();
    if (!this.engine) {
      engines += 1;
      this.engine = new cornerstone.RenderingEngine(`panes-${engines}`);
      this.observer = new ResizeObserver(() => this.resized());
    }
    const before = this.panes;
    this.geometry = geometry;
    this.initial = { slice, center: window.center, width: window.width };
    this.state = this.startState();
    this.panes = panes.map(({ element, slices }, index) => {
      const urls = Array.from({ length: geometry.slices }, (_, i) => sliceUrl(slices, i));
      const imageIds = registerStack(urls, geometry, window);
      return { element, urls, imageIds, id: `pane-${index}`, failed: false };
    });
    for (const [index, pane] of this.panes.entries()) {
      if (before[index]?.element !== pane.element) {
        this.engine.enableElement({
          viewportId: pane.id,
          element: pane.element,
          type: cornerstone.Enums.ViewportType.STACK,
          defaultOptions: { background: [0, 0, 0] },
        });
        this.observer.observe(pane.element);
      }
      pane.viewport = this.engine.getViewport(pane.id);
    }
    await Promise.all(this.panes.map((pane) => pane.viewport.setStack(pane.imageIds, slice)));
    const kept = new Set(this.panes.flatMap((pane) => pane.imageIds));
    for (const pane of before) releaseStack(pane.imageIds.filter((id) => !kept.has(id)));
    await this.draw();
  }

  startState() {
    return {
      slice: this.initial.slice,
      center: this.initial.center,
      width: this.initial.width,
      zoom: 1, // 1: the whole image fits the pane
      pan: [0, 0], // mm along the row and the column that the pane's centre is off the image's
      invert: false,
      smooth: true,
    };
  }

  // --- Changes of the view ----------------------------------------------------------------

  set(changes) {
    const before = this.state;
    const next = { ...before, ...changes };
    next.slice = clamp(Math.round(next.slice), [0, this.geometry.slices - 1]);
    next.zoom = clamp(next.zoom, ZOOM_RANGE);
    next.width = Math.max(1, next.width);
    const reach = [this.geometry.width / 2, this.geometry.height / 2];
    next.pan = next.pan.map((value, axis) => clamp(value, [-reach[axis], reach[axis]]));
    this.state = next;
    if (next.slice !== before.slice) this.emit("slice");
    return this.draw();
  }

  scroll(steps) {
    return this.set({ slice: this.state.slice + steps });
  }

  reset() {
    return this.set({ ...this.startState(), slice: this.state.slice });
  }

  /** A drag by (dx, dy) screen pixels: across for the width, down for a darker image. */
  dragWindow(dx, dy) {
    // The step follows the case's initial window, never the pixels of the pane under the mouse.
    const step = this.initial.width / 400;
    return this.set({
      width: this.state.width + dx * step,
      center: this.state.center + dy * step,
    });
  }

  dragPan(dx, dy, pane) {
    const scale = this.scale(pane);
    const [x, y] = this.state.pan;
    return this.set({ pan: [x - dx / scale, y - dy / scale] });
  }

  zoomBy(factor) {
    return this.set({ zoom: this.state.zoom * factor });
  }

  // --- Drawing ------------------------------------------------------------------------------

  /** Draws the newest state; calls made while a drawing is under way end in one more drawing. */
  draw() {
    this.dirty = true;
    this.drawing ??= this.drawUntilClean().finally(() => {
      this.drawing = null;
    });
    return this.drawing;
  }

  async drawUntilClean() {
    while (this.dirty) {
      this.dirty = false;
      const { slice } = this.state;
      await Promise.all(this.panes.map((pane) => this.showSlice(pane, slice)));
      for (const pane of this.panes) this.applyTo(pane);
      this.emit("drawn");
    }
  }

  /** A slice that cannot be had must not leave the one before it on the screen. */
  async showSlice(pane, slice) {
    const { rows, columns } = this.geometry;
    try {
      await loadSlice(pane.urls[slice], rows * columns);
      if (pane.viewport.getCurrentImageIdIndex() !== slice || pane.failed) {
        await pane.viewport.setImageIdIndex(slice);
      }
      pane.failed = false;
    } catch {
      pane.failed = true;
    }
    pane.element.classList.toggle("is-failed", pane.failed);
  }

  applyTo(pane) {
    const { viewport } = pane;
    if (pane.failed) return;
    const { center, width, invert, smooth } = this.state;
    if (!viewport.getImageData()) return; // its first slice has not arrived
    const interpolation = cornerstone.Enums.InterpolationType;
    viewport.setProperties({
      voiRange: { lower: center - width / 2, upper: center + width / 2 },
      invert,
      interpolationType: smooth ? interpolation.LINEAR : interpolation.NEAREST,
    });
    viewport.setCamera(this.camera(pane));
    viewport.render();
  }

  camera(pane) {
    const { geometry, state } = this;
    const focalPoint = geometry.toPatient({
      column: (geometry.columns - 1) / 2 + state.pan[0] / geometry.columnSpacing,
      row: (geometry.rows - 1) / 2 + state.pan[1] / geometry.rowSpacing,
      slice: state.slice,
    });
    const { viewPlaneNormal, position, focalPoint: old } = pane.viewport.getCamera();
    const distance = Math.hypot(...position.map((value, i) => value - old[i]));
    return {
      focalPoint,
      position: focalPoint.map((value, i) => value + viewPlaneNormal[i] * distance),
      parallelScale: pane.element.clientHeight / 2 / this.scale(pane),
    };
  }

  resized() {
    if (!this.state) return;
    this.engine.resize(true, true);
    this.draw();
  }

  // --- Between the screen and the image ---------------------------------------------------

  /** Screen pixels a millimetre. */
  scale({ element }) {
    const fit = Math.min(
      element.clientWidth / this.geometry.width,
      element.clientHeight / this.geometry.height,
    );
    return fit * this.state.zoom;
  }

  /** Screen position, relative to the pane, of a continuous pixel position. */
  toScreen(pane, { column, row }) {
    const { element } = pane;
    const { geometry, state } = this;
    const scale = this.scale(pane);
    return [
      element.clientWidth / 2 +
        ((column - (geometry.columns - 1) / 2) * geometry.columnSpacing - state.pan[0]) * scale,
      element.clientHeight / 2 +
        ((row - (geometry.rows - 1) / 2) * geometry.rowSpacing - state.pan[1]) * scale,
    ];
  }

  /** The other way: continuous pixel position on the shown slice. */
  toImage(pane, [x, y]) {
    const { element } = pane;
    const { geometry, state } = this;
    const scale = this.scale(pane);
    return {
      column:
        (geometry.columns - 1) / 2 +
        ((x - element.clientWidth / 2) / scale + state.pan[0]) / geometry.columnSpacing,
      row:
        (geometry.rows - 1) / 2 +
        ((y - element.clientHeight / 2) / scale + state.pan[1]) / geometry.rowSpacing,
      slice: state.slice,
    };
  }

  emit(name) {
    this.dispatchEvent(new CustomEvent(name, { detail: this.state }));
  }
}
