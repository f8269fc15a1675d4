/*
 * The canvas of a pane and what draws on it: the graphics card, or else the processor, beside the page
 * or in it.
 */
import { AsidePainter } from "./aside.js";
import { ProcessorPainter } from "./processor.js";
import { WebGLPainter } from "./webgl.js";

/** `script`: the address of painting.js, with which the processor draws beside the page. */
export function makePainter(element, script) {
  for (const Painter of [WebGLPainter, AsidePainter, ProcessorPainter]) {
    const canvas = document.createElement("canvas");
    canvas.className = "pane-pixels";
    let painter = null;
    try {
      painter = Painter.make(canvas, { script });
    } catch (error) {
      console.warn(error.message); // a driver that cannot compile the drawing; the next way is tried
    }
    if (painter) {
      element.dataset.painter = Painter.kind;
      element.prepend(canvas);
      return painter;
    }
  }
  throw new Error("This browser can draw no images: it offers neither WebGL nor a 2D canvas.");
}
