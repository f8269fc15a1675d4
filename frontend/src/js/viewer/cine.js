/* Runs through the slices again and again; stops when the reader looks elsewhere. */

const RATES = [1, 2, 3, 4, 6, 8, 10, 12, 15, 20, 25, 30]; // slices a second

export class Cine {
  constructor(viewer, { onChange }) {
    this.viewer = viewer;
    this.onChange = onChange;
    this.rate = 8;
    this.timer = null;
    window.addEventListener("blur", () => this.stop());
    document.addEventListener("visibilitychange", () => document.hidden && this.stop());
  }

  get running() {
    return this.timer !== null;
  }

  start() {
    if (this.running || this.viewer.geometry.slices < 2) return;
    this.due = performance.now() + 1000 / this.rate;
    this.wait();
    this.onChange();
  }

  stop() {
    if (!this.running) return;
    clearTimeout(this.timer);
    this.timer = null;
    this.onChange();
  }

  toggle() {
    if (this.running) this.stop();
    else this.start();
  }

  /** One step of the rate up or down. */
  faster(steps) {
    const index = RATES.indexOf(this.rate) + steps;
    this.rate = RATES[Math.min(RATES.length - 1, Math.max(0, index))];
    this.onChange();
  }

  wait() {
    this.timer = setTimeout(() => this.step(), Math.max(0, this.due - performance.now()));
  }

  step() {
    const { viewer } = this;
    // Times are counted from the plan, not from the last step, so that the rate is kept; a step
    // that comes late is not made good by a hurry.
    this.due = Math.max(this.due + 1000 / this.rate, performance.now());
    const moving = viewer.linked ? viewer.panes : [viewer.panes[viewer.active]];
    if (moving.some((pane) => !viewer.pixels(pane))) return this.wait(); // the slice is on its way
    const next = (viewer.state.slice + 1) % viewer.geometry.slices;
    viewer.set({ slice: next });
    return this.wait();
  }
}
