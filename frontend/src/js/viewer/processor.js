/*
 * Draws a slice of 16-bit pixels on a canvas with the processor: for machines without a graphics
 * card that the browser can use (remote desktops, locked-down browsers), where WebGL would be
 * emulated and slow. The picture is that of webgl.js. Beside the page where the browser can
 * (aside.js); here, in the page's own thread, where it cannot.
 */
import { Picture } from "./picture.js";

export class ProcessorPainter {
  static kind = "processor";

  static make(canvas) {
    const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
    return context ? new ProcessorPainter(canvas, context) : null;
  }

  constructor(canvas, context) {
    this.canvas = canvas;
    this.context = context;
    this.picture = new Picture();
  }

  /** What it takes is what Picture.paint takes; `size` is the canvas' [width, height]. */
  draw(view) {
    const { canvas } = this;
    fit(canvas, view.size);
    if (this.image?.width !== canvas.width || this.image?.height !== canvas.height) {
      this.image = this.context.createImageData(canvas.width, canvas.height);
    }
    this.picture.paint(new Uint32Array(this.image.data.buffer), view);
    this.context.putImageData(this.image, 0, 0);
  }

  /** Black, and no pixels of a patient kept. */
  clear() {
    const { canvas, context } = this;
    context.fillStyle = "#000";
    context.fillRect(0, 0, canvas.width, canvas.height);
  }

  close() {
    this.clear();
    this.image = null;
    this.picture = new Picture();
  }
}

/** As many pixels as the screen has; setting the same number again would empty the canvas. */
export function fit(canvas, [width, height]) {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}
