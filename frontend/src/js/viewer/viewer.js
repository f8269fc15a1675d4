/*
 * Panes of one case. Each pane has its view state (slice, window, zoom, pan, inversion,
 * interpolation); while the panes are linked every change goes to all of them, whichever pane it
 * came from. What belongs to the pane (window, zoom, pan) is not touched by a change of slice.
 *
 * Emits "drawn" after a drawing, "change" when a state or the linking changed.
 */
import { makePainter } from "./painter.js";
import { place, toImage, toScreen } from "./placement.js";
import { PixelStore, sliceUrl } from "./store.js";

const ZOOM_RANGE = [0.5, 20];
const LEVEL_RANGE = [-65535, 131070];
const WIDTH_RANGE = [1, 131070];
const UNDRAWN_MS = 300; // a hidden page draws no frames
const clamp = (value, [low, high]) => Math.min(high, Math.max(low, value));

export class Viewer extends EventTarget {
  /** `script`: the address of painting.js, with which pictures are made beside the page. */
  constructor(store = new PixelStore(), { script } = {}) {
    super();
    this.store = store;
    this.script = script;
    this.panes = [];
    this.active = 0;
    this.linked = true;
    this.smooth = true;
    this.frame = null;
    this.opened = 0;
    this.observer = new ResizeObserver(() => this.resized());
    store.addEventListener("change", ({ detail }) => detail === this.pixelSet && this.arrived());
    // Another monitor or another browser zoom: the canvases get as many pixels as the screen has.
    window.addEventListener("resize", () => this.resized());
  }

  /**
   * Show `panes` ({element, slices, id?}) of one case. `window` is the case's first window
   * ({center, width}) and `slice` the slice to start on. Resolves when each pane has drawn its first
   * slice or cannot: true, or false if another case was opened meanwhile.
   */
  async open({ key, geometry, window: first, panes, slice }) {
    this.opened += 1;
    const mine = this.opened;
    this.geometry = geometry;
    this.initial = { slice, center: first.center, width: first.width };
    this.linked = true;
    this.active = 0;
    const before = this.panes;
    this.panes = panes.map(({ element, slices, id }, index) => ({
      id: id ?? String(index),
      element,
      urls: Array.from({ length: geometry.slices }, (_, i) => sliceUrl(slices, i)),
      state: this.startState(),
      painter: before.find((old) => old.element === element)?.painter ?? this.makePainter(element),
      size: null,
      failed: false,
      waiting: true,
      drawn: null, // slice on the screen
      shown: null, // the state that the screen shows: a picture made beside the page comes later
    }));
    for (const { element, painter } of before) {
      if (!panes.some((pane) => pane.element === element)) {
        this.observer.unobserve(element);
        painter.close();
        painter.canvas.remove();
      }
    }
    for (const pane of this.panes) {
      pane.painter.clear(); // never the case before under this case's name
      this.observer.observe(pane.element);
    }
    this.pixelSet = this.store.open(
      { key: key ?? panes.map(({ slices }) => slices).join(" "), geometry, panes: this.panes.map(({ urls }) => urls) },
      slice,
    );
    this.measure();
    await this.firstSlices(mine);
    if (mine !== this.opened) return false;
    await this.draw();
    this.changed();
    return mine === this.opened;
  }

  makePainter(element) {
    const painter = makePainter(element, this.script);
    painter.onRestored = () => this.draw();
    return painter;
  }

  async firstSlices(mine) {
    const here = () =>
      this.panes.every(({ urls, state }) => {
        const url = urls[state.slice];
        return this.pixelSet.loaded.has(url) || this.pixelSet.failed.has(url);
      });
    while (mine === this.opened && !here()) {
      await new Promise((resolve) =>
        this.store.addEventListener("change", resolve, { once: true }),
      );
    }
  }

  close() {
    this.opened += 1;
    this.store.close();
    this.pixelSet = null;
    for (const pane of this.panes) {
      this.observer.unobserve(pane.element);
      pane.painter.close();
      pane.painter.canvas.remove();
    }
    this.panes = [];
  }

  startState() {
    return {
      ...this.initial,
      zoom: 1, // 1: the whole image fits the pane
      pan: [0, 0], // mm along the row and the column that the pane's centre is off the image's
      invert: false,
      smooth: this.smooth, // the reader's preference, kept from case to case
    };
  }

  get state() {
    return this.panes[this.active]?.state ?? null;
  }

  /** The state that the screen shows of the active pane. */
  get shown() {
    const pane = this.panes[this.active];
    return pane?.shown ?? pane?.state ?? null;
  }

  paneOf(element) {
    return this.panes.find((pane) => pane.element === element);
  }

  // --- Changes of the view ----------------------------------------------------------------

  /**
   * Change the view of the pane, or of all while they are linked. `changes` is a part of the state,
   * or a function that makes it from a state.
   */
  set(changes, pane = this.panes[this.active]) {
    for (const one of this.linked ? this.panes : [pane]) {
      const made = typeof changes === "function" ? changes(one.state) : changes;
      one.state = this.allowed({ ...one.state, ...made });
    }
    this.smooth = pane.state.smooth;
    if (this.panes.some((one) => !this.pixels(one))) this.store.hurry(pane.state.slice);
    this.changed();
    return this.draw();
  }

  allowed(state) {
    const { geometry } = this;
    const reach = [geometry.width / 2, geometry.height / 2];
    return {
      ...state,
      slice: clamp(Math.round(state.slice), [0, geometry.slices - 1]),
      zoom: clamp(state.zoom, ZOOM_RANGE),
      width: clamp(state.width, WIDTH_RANGE),
      center: clamp(state.center, LEVEL_RANGE),
      pan: state.pan.map((value, axis) => clamp(value, [-reach[axis], reach[axis]])),
    };
  }

  scroll(steps, pane) {
    return this.set(({ slice }) => ({ slice: slice + steps }), pane);
  }

  /** Window, zoom, pan and inversion as at the start; the slice stays. */
  reset(pane) {
    return this.set(({ slice }) => ({ ...this.startState(), slice }), pane);
  }

  /** A drag by (dx, dy) screen pixels: across for the width, down for a darker image. */
  dragWindow(dx, dy, pane) {
    // The step follows the case's first window, never the pixels of the pane under the mouse.
    const step = this.initial.width / 400;
    return this.set(
      ({ width, center }) => ({ width: width + dx * step, center: center + dy * step }),
      pane,
    );
  }

  dragPan(dx, dy, pane = this.panes[this.active]) {
    const scale = this.scale(pane);
    return this.set(({ pan: [x, y] }) => ({ pan: [x - dx / scale, y - dy / scale] }), pane);
  }

  /** Zoom about a screen position of the pane, which stays where it is; without one, its middle. */
  zoomBy(factor, pane = this.panes[this.active], at = null) {
    const { width, height } = this.sizeOf(pane);
    const [x, y] = at ? [at[0] - width / 2, at[1] - height / 2] : [0, 0];
    const before = this.scale(pane);
    const zoom = clamp(pane.state.zoom * factor, ZOOM_RANGE);
    const after = place(this.geometry, { ...pane.state, zoom }, this.sizeOf(pane)).scale;
    const shift = 1 / before - 1 / after;
    return this.set(
      ({ pan }) => ({ zoom, pan: [pan[0] + x * shift, pan[1] + y * shift] }),
      pane,
    );
  }

  /** Linked again, all panes show what the active one shows. */
  link(on = !this.linked) {
    this.linked = on;
    return this.set({ ...this.state });
  }

  activate(index) {
    if (index === this.active || !this.panes[index]) return;
    this.active = index;
    this.changed();
  }

  // --- Drawing ------------------------------------------------------------------------------

  pixels(pane) {
    return this.pixelSet?.loaded.get(pane.urls[pane.state.slice]);
  }

  /** A slice came, or cannot be had. */
  arrived() {
    const stale = this.panes.some(
      (pane) =>
        (pane.waiting || pane.failed) !== !this.pixels(pane) ||
        pane.failed !== this.pixelSet.failed.has(pane.urls[pane.state.slice]),
    );
    if (stale) this.draw();
  }

  /** Resolves when the newest state is on the screen. */
  draw() {
    this.frame ??= new Promise((resolve) => {
      let done = false;
      const once = async () => {
        if (done) return;
        done = true;
        cancelAnimationFrame(handle);
        clearTimeout(timer);
        if (this.painting) await this.painting; // the newest state is taken after it, not before
        this.frame = null;
        this.painting = this.paint();
        await this.painting;
        resolve();
      };
      const handle = requestAnimationFrame(once);
      const timer = setTimeout(once, UNDRAWN_MS);
    });
    return this.frame;
  }

  /** All panes; null, or a promise where pictures are made beside the page. */
  paint() {
    const underWay = this.panes.map((pane) => this.paintPane(pane)).filter(Boolean);
    if (!underWay.length) {
      this.emit("drawn");
      return null;
    }
    return Promise.all(underWay).then((shows) => {
      for (const show of shows) show(); // in one frame, so that panes never show different slices
      this.painting = null;
      this.emit("drawn");
    });
  }

  /** A slice that is not there must not leave the one before it on the screen. */
  paintPane(pane) {
    const { state, painter } = pane;
    const { width, height, ratio } = this.sizeOf(pane);
    if (!width || !height) return null; // not shown now
    const pixels = this.pixels(pane);
    pane.failed = !pixels && this.pixelSet.failed.has(pane.urls[state.slice]);
    pane.waiting = !pixels && !pane.failed;
    if (!pixels) {
      if (pane.drawn !== null) painter.clear();
      pane.drawn = null;
      pane.shown = state;
      return null;
    }
    const isShown = () => {
      pane.drawn = state.slice;
      pane.shown = state;
    };
    const underWay = painter.draw({
      pixels,
      columns: this.geometry.columns,
      rows: this.geometry.rows,
      size: [Math.round(width * ratio), Math.round(height * ratio)],
      placed: this.placed(pane),
      ratio,
      low: state.center - state.width / 2,
      width: state.width,
      invert: state.invert,
      smooth: state.smooth,
      lens: this.lens?.(pane) ?? null,
    });
    if (!underWay) isShown();
    return underWay?.then((put) => () => put() && isShown());
  }

  /** The pane as the screen shows it: what is written over it must not run ahead of its picture. */
  asShown(pane) {
    return { ...pane, state: pane.shown ?? pane.state };
  }

  /** Sizes are read once a change of layout: reading them in every frame would cost the frame. */
  measure() {
    for (const pane of this.panes) pane.size = null;
  }

  sizeOf(pane) {
    pane.size ??= {
      width: pane.element.clientWidth,
      height: pane.element.clientHeight,
      ratio: window.devicePixelRatio || 1,
    };
    return pane.size;
  }

  resized() {
    this.measure();
    if (this.panes.length && this.pixelSet) this.draw();
  }

  // --- Between the screen and the image ---------------------------------------------------

  placed(pane) {
    return place(this.geometry, pane.state, this.sizeOf(pane));
  }

  /** Screen pixels a millimetre. */
  scale(pane) {
    return this.placed(pane).scale;
  }

  /** Screen position, relative to the pane, of a continuous pixel position. */
  toScreen(pane, position) {
    return toScreen(this.placed(pane), position);
  }

  /** The other way: continuous pixel position on the shown slice. */
  toImage(pane, point) {
    return { ...toImage(this.placed(pane), point), slice: pane.state.slice };
  }

  changed() {
    this.emit("change");
  }

  emit(name) {
    this.dispatchEvent(new CustomEvent(name, { detail: this.state }));
  }
}
