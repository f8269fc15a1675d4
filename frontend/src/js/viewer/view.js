/*
 * The images of an item: panes, toolbar, overlays, magnifier, cine, arrows, and what happens when
 * pixels do not come. The page gives an empty element and the item's data; it hears events.
 *
 * Emits "status" (detail: status()), "seen", "failed" (detail: {pane, slices, status}), "drawn"
 * (detail: the active pane's state), "layout", "marks".
 */
import { Cine } from "./cine.js";
import { FlagStore } from "./flags.js";
import { HANGINGS, KEYS, MARK_KEYS, MOUSE } from "./controls.js";
import { Geometry } from "./geometry.js";
import { Layout } from "./layout.js";
import { Magnifier } from "./magnifier.js";
import { Marking } from "./marking.js";
import { ViewRecord } from "./record.js";
import { PixelStore, sliceUrl } from "./store.js";
import { Toolbar } from "./toolbar.js";
import { Viewer } from "./viewer.js";

const LEVEL_STEP = 0.05; // of the window's width
const CONTRAST_STEP = 1.1;
const PAN_SHARE = 0.06; // of the pane's shorter side

export class ReadingView extends EventTarget {
  constructor(host) {
    super();
    this.store = new PixelStore();
    this.viewer = new Viewer(this.store, { script: host.dataset.painting });
    this.layout = new Layout(host, this);
    this.toolbar = new Toolbar(this.layout.bar, this);
    this.magnifier = new Magnifier(this.viewer);
    this.cine = new Cine(this.viewer, { onChange: () => this.changed() });
    this.marking = new Marking(this.viewer, {
      done: (mark) => this.marked(mark),
      say: (text) => this.layout.say(text),
      changed: () => this.changed(),
    });
    this.flags = new FlagStore();
    this.flagsOn = false; // kept from item to item
    this.flags.addEventListener("change", () => this.flagsOn && this.viewer.draw());
    this.finger = "slice";
    this.item = null;
    this.marks = [];
    this.markHeard = null;
    this.viewer.addEventListener("drawn", () => this.drawn());
    this.viewer.addEventListener("change", () => this.changed());
    this.store.addEventListener("change", ({ detail }) => this.pixelsChanged(detail));
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.data?.pause();
      else this.data?.goOn();
      this.viewer.draw();
    });
  }

  // --- An item ------------------------------------------------------------------------------------

  /** Resolves true when each pane has drawn its first slice or cannot; false when left meanwhile. */
  async open(item) {
    this.cine.stop();
    this.marking.cancel();
    this.item = item;
    const geometry = new Geometry(item.geometry);
    this.presets = item.presets ?? [];
    this.marks = item.marks ?? [];
    this.failed = new Map(); // pane id -> number of slices
    this.told = new Map(); // the same, as of the last "failed"
    this.seenPanes = new Set();
    this.ready = false;
    this.layout.build(item, geometry);
    this.flags.open(item.panes.map(({ flags }) => flags ?? null), geometry);
    this.toolbar.fill(this.presets);
    this.data = new ViewRecord(item.panes.map(({ id }) => id));
    const shown = await this.viewer.open({
      key: item.key,
      geometry,
      window: item.window,
      slice: item.slice ?? Math.floor(geometry.slices / 2),
      panes: item.panes.map(({ id, slices }, index) => ({
        id,
        slices,
        element: this.layout.panes[index].canvas,
      })),
    });
    if (shown) this.pixelsChanged(this.viewer.pixelSet);
    if (shown && this.flagsOn) this.flags.fetchAll(this.state.slice);
    return shown;
  }

  prefetch(items) {
    this.store.prefetch(
      items.map(({ key, geometry, panes }) => ({
        key,
        geometry: new Geometry(geometry),
        panes: panes.map(({ slices }) =>
          Array.from({ length: geometry.slices }, (_, index) => sliceUrl(slices, index)),
        ),
      })),
    );
  }

  close() {
    this.cine.stop();
    this.marking.cancel();
    this.flags.close();
    this.viewer.close();
  }

  retry() {
    this.told.clear();
    this.store.retry();
  }

  get state() {
    return this.viewer.state;
  }

  record() {
    return this.data.data();
  }

  // --- Pixels: here, missing, seen ----------------------------------------------------------------

  pixelsChanged(set) {
    if (!set || set !== this.viewer.pixelSet) return;
    let any = false;
    for (const [index, pane] of this.viewer.panes.entries()) {
      const lost = pane.urls.filter((url) => set.failed.has(url));
      this.failed.set(pane.id, lost.length);
      any ||= lost.length > 0;
      const status = lost.length ? set.failed.get(lost[0]) : 0;
      this.layout.panes[index].trouble(lost.length, pane.urls.length, status);
      if (!set.settled || this.told.get(pane.id) === lost.length) continue;
      this.told.set(pane.id, lost.length);
      if (!lost.length) continue;
      const slices = lost.map((url) => pane.urls.indexOf(url));
      this.emit("failed", { pane: pane.id, slices, status });
    }
    this.layout.loading(set.loaded.size, set.total, any, set.slow.size > 0);
    this.emit("status", this.status());
  }

  /** May the item be submitted? Only if `complete` and `seen`; `text` says to the reader why not. */
  status() {
    const set = this.viewer.pixelSet;
    const failed = [...(this.failed?.values() ?? [])].reduce((sum, count) => sum + count, 0);
    const unseen = this.item?.panes.filter(({ id }) => !this.seenPanes.has(id)) ?? [];
    const complete = Boolean(set?.complete);
    return {
      complete,
      seen: unseen.length === 0 && this.item !== null,
      shown: [...(this.seenPanes ?? [])],
      failed,
      done: set?.loaded.size ?? 0,
      total: set?.total ?? 0,
      text: this.reason(complete, failed, unseen, set),
    };
  }

  reason(complete, failed, unseen, set) {
    if (failed) {
      const what = failed === 1 ? "One slice" : `${failed} slices`;
      return `${what} could not be loaded; the item cannot be submitted unseen.`;
    }
    if (set?.slow.size) return "The images are slow to come; they are asked for again by themselves.";
    if (!complete) return "The images are still loading.";
    if (unseen.length) return `Not looked at yet: ${unseen.map(({ label }) => label).join(", ")}.`;
    return "";
  }

  drawn() {
    const { viewer, layout } = this;
    if (!this.item || viewer.panes.length !== layout.panes.length) return;
    const visible = [];
    for (const [index, pane] of viewer.panes.entries()) {
      const { overlay, arrows, flags } = layout.panes[index];
      const isShown = viewer.sizeOf(pane).width > 0;
      if (!isShown) continue;
      const seen = viewer.asShown(pane);
      overlay.update(viewer, seen);
      const { draft } = this.marking;
      arrows.update(viewer, seen, this.marksOn(seen), draft?.pane === pane && draft.slice === seen.state.slice ? draft : null);
      if (!this.flagsOn || !this.flags.offered) flags.hide();
      else flags.update(viewer, seen, this.flags.of(index, seen.state.slice), Boolean(this.item.panes[index].flags));
      if (pane.drawn !== null) visible.push(pane);
    }
    if (!document.hidden && visible.length) this.looked(visible);
    this.emit("drawn", this.state);
  }

  looked(visible) {
    const before = this.seenPanes.size;
    for (const { id } of visible) this.seenPanes.add(id);
    this.data.saw(visible, this.viewer.shown);
    if (this.seenPanes.size === before) return;
    if (this.seenPanes.size === this.item.panes.length) {
      this.data.shown();
      this.emit("seen", null);
    }
    this.emit("status", this.status());
  }

  changed() {
    this.layout.update();
    this.toolbar.update();
  }

  // --- What keys and buttons do ------------------------------------------------------------------

  scroll(steps, pane) {
    this.cine.stop();
    // Infinity is the first or the last slice; the viewer keeps within the slices there are.
    return this.viewer.scroll(Math.max(-1e6, Math.min(1e6, steps)), pane);
  }

  preset(index) {
    const chosen = this.presets[index];
    if (!chosen) return;
    this.data.use("preset");
    this.viewer.set({ center: chosen.center, width: chosen.width });
  }

  presetShown() {
    const { state } = this;
    if (!state) return -1;
    return this.presets.findIndex(
      ({ center, width }) => center === state.center && width === state.width,
    );
  }

  level(direction) {
    this.viewer.set(({ center, width }) => ({ center: center + direction * LEVEL_STEP * width }));
  }

  contrast(direction) {
    this.viewer.set(({ width }) => ({ width: width * CONTRAST_STEP ** -direction }));
  }

  zoom(factor) {
    this.viewer.zoomBy(factor);
  }

  pan(across, down) {
    const { width, height } = this.viewer.sizeOf(this.viewer.panes[this.viewer.active]);
    const step = PAN_SHARE * Math.min(width, height);
    this.viewer.dragPan(across * step, down * step);
  }

  invert() {
    this.data.use("invert");
    this.viewer.set(({ invert }) => ({ invert: !invert }));
  }

  exact() {
    this.data.use("pixel_exact");
    this.viewer.set(({ smooth }) => ({ smooth: !smooth }));
  }

  reset() {
    this.viewer.reset();
  }

  magnify() {
    this.data.use("magnifier");
    this.magnifier.toggle();
    this.changed();
  }

  playCine() {
    this.data.use("cine");
    this.cine.toggle();
  }

  cineRate(steps) {
    this.cine.faster(steps);
    this.layout.say(`Cine: ${this.cine.rate} slices a second`);
  }

  /** What the colour means, in the words of the item. */
  flagsMeaning() {
    return this.item?.flags_meaning ?? "";
  }

  showFlags() {
    if (!this.flags.offered) return;
    this.data.use("warning_map");
    this.flagsOn = !this.flagsOn;
    if (this.flagsOn) this.flags.fetchAll(this.state.slice);
    this.viewer.draw();
    this.changed();
  }

  link() {
    this.viewer.link();
    if (!this.viewer.linked) this.data.use("unsynced");
    this.layout.say(
      this.viewer.linked ? "Panes linked: all show this slice and window" : "Panes apart: keys act on the outlined pane (o: the other)",
    );
  }

  other() {
    this.activate((this.viewer.active + 1) % this.viewer.panes.length);
    this.layout.say(this.item.panes[this.viewer.active].label);
  }

  activate(index) {
    this.viewer.activate(index);
    this.layout.update();
    this.viewer.resized();
  }

  full(pane) {
    const index = pane ? this.viewer.panes.indexOf(pane) : this.viewer.active;
    if (this.viewer.panes.length < 2) return;
    this.data.use("full_pane");
    this.viewer.activate(index);
    this.layout.toggleFull();
    this.viewer.resized();
    this.changed();
  }

  changeFinger() {
    this.finger = this.finger === "slice" ? "window" : "slice";
    this.changed();
  }

  /** Something to be read, and read aloud, for a moment. */
  say(text) {
    this.layout.say(text);
  }

  // --- Arrows ----------------------------------------------------------------------------------------

  /** The page takes arrows: the key and the button show, and `heard(mark)` gets each. */
  onMark(heard) {
    this.markHeard = heard;
    if (this.item) this.toolbar.fill(this.presets);
  }

  startMark(heard) {
    this.markOnce = typeof heard === "function" ? heard : null;
    this.marking.start();
  }

  marked(mark) {
    const heard = this.markOnce ?? this.markHeard;
    this.markOnce = null;
    heard?.(mark);
    this.emit("marks", mark);
  }

  setMarks(marks) {
    this.marks = marks;
    if (this.item) this.viewer.draw();
  }

  showMark(id) {
    const mark = this.marks.find((one) => String(one.id) === String(id));
    if (!mark) return;
    const index = this.viewer.panes.findIndex((pane) => String(pane.id) === String(mark.pane));
    if (index >= 0) this.activate(index);
    this.cine.stop();
    this.viewer.set({ slice: mark.slice });
  }

  marksOn({ id, state }) {
    return this.marks.filter(({ pane, slice }) => String(pane) === String(id) && slice === state.slice);
  }

  // --- The table ---------------------------------------------------------------------------------------

  /** The entries of the table that make sense for the item. */
  controls() {
    return KEYS.filter((entry) => this.isOf(entry));
  }

  isOf({ several, marks, flags }) {
    if (flags && !this.flags.offered) return false;
    return (!several || (this.item?.panes.length ?? 2) > 1) && (!marks || Boolean(this.markHeard));
  }

  run({ act: [name, ...args] }) {
    if (this.viewer.pixelSet) this[name](...args);
  }

  /** For bindKeys and fillHelp. */
  keys() {
    return this.controls().map((entry) => ({
      group: "Images",
      keys: entry.keys,
      show: entry.show,
      does: entry.preset ? this.presetText(entry) : entry.does,
      once: Boolean(entry.pressed),
      run: () => this.run(entry),
    }));
  }

  presetText({ act: [, index], does }) {
    const named = this.presets?.[index];
    return named ? `Window: ${named.name}` : does;
  }

  /** What the help says beside the keys of keys(): mouse, touch, and the keys while an arrow is placed. */
  mouse() {
    const mouse = MOUSE.filter((entry) => this.isOf(entry));
    if (!this.markHeard) return mouse;
    const group = "While placing an arrow";
    return [...mouse, ...MARK_KEYS.map(({ keys, does }) => ({ keys, does, group }))];
  }

  hangings() {
    return this.item ? HANGINGS.filter(({ mode }) => mode === this.item.mode) : HANGINGS;
  }

  switches() {
    return {
      invert: Boolean(this.state?.invert),
      exact: this.state ? !this.state.smooth : false,
      magnifier: this.magnifier.on,
      cine: this.cine.running,
      linked: this.viewer.linked,
      full: this.layout.isFull,
      marking: this.marking.on,
      flags: this.flagsOn && this.flags.offered,
    };
  }

  emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
