/*
 * Placing an arrow. By mouse, pen or finger: press on the artifact, drag outwards, release; a click
 * alone gives a short arrow. By keyboard: a cross that the arrow keys move, Enter for the point,
 * Enter again for the tail, Escape for none. Positions are kept in image pixels until the end, so
 * that zoom, pan and window may change meanwhile.
 */
import { bindKeys } from "../keys.js";
import { MARK_KEYS } from "./controls.js";

const SHORT_MM = 15;
const LEAST_MM = 2; // shorter than this was meant as a click

export class Marking {
  /** `done({pane, slice, tail, head})` in patient millimetres; `say(text)`; `changed()`. */
  constructor(viewer, { done, say, changed }) {
    this.viewer = viewer;
    this.done = done;
    this.say = say;
    this.changed = changed;
    this.draft = null; // {pane, slice, cross, head, tail} while an arrow is being placed
  }

  get on() {
    return this.draft !== null;
  }

  start() {
    if (this.on) {
      this.cancel();
      return;
    }
    this.begin(this.viewer.panes[this.viewer.active]);
    const table = MARK_KEYS.map(({ keys, act: [name, ...args] }) => ({
      keys,
      run: () => this[name](...args),
    }));
    this.unbind = bindKeys(table, window); // before the page's own keys
    this.say("Arrow: press on the artifact and drag outwards, or move the cross and press Enter.");
    this.changed();
  }

  /** A cross in the middle of what the pane shows. */
  begin(pane) {
    const { width, height } = this.viewer.sizeOf(pane);
    const { slice, ...cross } = this.viewer.toImage(pane, [width / 2, height / 2]);
    this.draft = { pane, slice, cross: this.inside(cross), head: null, tail: null };
    this.viewer.draw();
  }

  inside({ column, row }) {
    const { columns, rows } = this.viewer.geometry;
    return {
      column: Math.min(columns - 1, Math.max(0, column)),
      row: Math.min(rows - 1, Math.max(0, row)),
    };
  }

  // --- By keyboard ----------------------------------------------------------------------------

  move(columns, rows) {
    const { draft } = this;
    this.here();
    draft.cross = this.inside({
      column: draft.cross.column + columns,
      row: draft.cross.row + rows,
    });
    if (draft.head) draft.tail = draft.cross;
    this.viewer.draw();
  }

  enter() {
    const { draft } = this;
    this.here();
    if (!draft.head) {
      draft.head = draft.cross;
      draft.tail = this.shortTail(draft.head);
      draft.cross = draft.tail;
      this.say("Point set. Move the tail and press Enter.");
      this.viewer.draw();
      return;
    }
    this.finish();
  }

  /** Before the point is set the cross goes along to another slice or pane; after it, back. */
  here() {
    const { draft, viewer } = this;
    if (draft.head) {
      if (draft.pane.state.slice !== draft.slice) viewer.set({ slice: draft.slice }, draft.pane);
      return;
    }
    const pane = viewer.panes[viewer.active];
    draft.pane = pane;
    draft.slice = pane.state.slice;
  }

  shortTail({ column, row }) {
    const { columnSpacing, rowSpacing, columns, rows } = this.viewer.geometry;
    const [across, down] = [SHORT_MM / columnSpacing, SHORT_MM / rowSpacing].map(
      (length) => length / Math.SQRT2,
    );
    // Towards the middle of the image, so that the tail lies on it.
    return this.inside({
      column: column + (column > columns / 2 ? -across : across),
      row: row + (row > rows / 2 ? -down : down),
    });
  }

  // --- By mouse, pen and finger ------------------------------------------------------------

  /** A press in a pane; true if it was for the arrow. */
  press(event, pane) {
    if (!this.on || event.button !== 0 || !event.isPrimary) return false;
    event.preventDefault();
    const element = event.currentTarget;
    const at = (moving) => {
      const box = element.getBoundingClientRect();
      return this.inside(
        this.viewer.toImage(pane, [moving.clientX - box.left, moving.clientY - box.top]),
      );
    };
    const head = at(event);
    this.draft = { pane, slice: pane.state.slice, cross: head, head, tail: head };
    const move = (moving) => {
      if (!this.draft) return;
      this.draft.tail = at(moving);
      this.draft.cross = this.draft.tail;
      this.viewer.draw();
    };
    element.setPointerCapture(event.pointerId);
    element.addEventListener("pointermove", move);
    const end = (last) => {
      element.removeEventListener("pointermove", move);
      element.removeEventListener("pointerup", end);
      element.removeEventListener("pointercancel", end);
      if (!this.draft) return;
      if (last.type === "pointercancel") this.cancel();
      else this.finish();
    };
    element.addEventListener("pointerup", end);
    element.addEventListener("pointercancel", end);
    return true;
  }

  // --- The end ---------------------------------------------------------------------------------

  finish() {
    const { pane, slice, head } = this.draft;
    const { geometry } = this.viewer;
    const inPatient = (position) => geometry.toPatient({ ...position, slice });
    const apart = (a, b) => Math.hypot(...a.map((value, axis) => value - b[axis]));
    const point = inPatient(head);
    let tail = inPatient(this.draft.tail);
    if (apart(tail, point) < LEAST_MM) tail = inPatient(this.shortTail(head));
    this.stop();
    this.say("Arrow set.");
    this.done({ pane: pane.id, slice, tail: tail.map(hundredth), head: point.map(hundredth) });
  }

  cancel() {
    if (!this.on) return;
    this.stop();
    this.say("No arrow.");
  }

  stop() {
    this.unbind?.();
    this.unbind = null;
    this.draft = null;
    this.changed();
    this.viewer.draw();
  }
}

const hundredth = (millimetres) => Number(millimetres.toFixed(2));
