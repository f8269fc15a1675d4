/* What was looked at: distinct slices, windows by time, zoom, tools. For the statistician alone. */

const MOST_WINDOWS = 30;

export class ViewRecord {
  constructor(paneIds) {
    this.began = performance.now();
    this.imagesMs = null; // opening → all panes drawn
    this.slices = new Map(paneIds.map((id) => [id, new Set()]));
    this.sliceChanges = 0;
    this.windows = new Map(); // "center width" → milliseconds
    this.zoom = null;
    this.used = new Set();
    this.last = null; // what is on the screen, and since when
  }

  shown() {
    this.imagesMs ??= performance.now() - this.began;
  }

  use(tool) {
    this.used.add(tool);
  }

  /** After every drawing that somebody could see. */
  saw(panes, { slice, center, width, zoom }) {
    for (const pane of panes) this.slices.get(pane.id)?.add(pane.drawn);
    if (this.last && this.last.slice !== slice) this.sliceChanges += 1;
    this.zoom = {
      least: Math.min(zoom, this.zoom?.least ?? zoom),
      most: Math.max(zoom, this.zoom?.most ?? zoom),
      last: zoom,
    };
    this.spend();
    this.last = { slice, window: `${round(center)} ${round(width)}`, at: performance.now() };
  }

  /** The page is hidden: the clock of the window stands. */
  pause() {
    this.spend();
    if (this.last) this.last.at = null;
  }

  goOn() {
    if (this.last) this.last.at = performance.now();
  }

  spend() {
    const { last } = this;
    if (!last || last.at === null) return;
    const now = performance.now();
    this.windows.set(last.window, (this.windows.get(last.window) ?? 0) + now - last.at);
    last.at = now;
  }

  data() {
    this.spend();
    const windows = [...this.windows]
      .map(([key, ms]) => {
        const [center, width] = key.split(" ").map(Number);
        return { center, width, ms: Math.round(ms) };
      })
      .sort((a, b) => b.ms - a.ms)
      .slice(0, MOST_WINDOWS);
    return {
      images_ms: this.imagesMs === null ? null : Math.round(this.imagesMs),
      panes: [...this.slices].map(([number, slices]) => ({
        number,
        slices: [...slices].sort((a, b) => a - b),
      })),
      slice_changes: this.sliceChanges,
      windows,
      zoom: this.zoom && mapValues(this.zoom, (value) => Number(value.toFixed(3))),
      used: [...this.used],
    };
  }
}

const round = (value) => Number(value.toFixed(1));
const mapValues = (object, change) =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));
