/*
 * A lens that follows the pointer, with the window of its pane. While the panes are linked, each
 * shows the same place of its image in a lens; without a pointer it stays in the middle of the pane,
 * where pan brings the image under it.
 */

const RADIUS = 105; // screen pixels
const MAGNIFICATION = 2.5;

export class Magnifier {
  constructor(viewer) {
    this.viewer = viewer;
    this.on = false;
    this.from = null; // {pane, point}
    viewer.lens = (pane) => this.lensOf(pane);
  }

  toggle() {
    this.on = !this.on;
    return this.viewer.draw();
  }

  /** The pointer is at a screen position of the pane, or (null) has left it. */
  follow(pane, point) {
    this.from = point ? { pane, point } : null;
    if (this.on) this.viewer.draw();
  }

  lensOf(pane) {
    if (!this.on) return null;
    const { viewer } = this;
    const source = viewer.panes.includes(this.from?.pane) ? this.from.pane : viewer.panes[viewer.active];
    if (pane !== source && !viewer.linked) return null;
    const size = viewer.sizeOf(source);
    const point = source === this.from?.pane ? this.from.point : [size.width / 2, size.height / 2];
    const [x, y] =
      pane === source ? point : viewer.toScreen(pane, viewer.toImage(source, point));
    const { width, height } = viewer.sizeOf(pane);
    const radius = Math.min(RADIUS, width * 0.3, height * 0.3);
    return { x, y, radius, magnification: MAGNIFICATION };
  }
}
