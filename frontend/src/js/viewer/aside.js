/*
 * Draws as processor.js does, but beside the page: a worker makes the picture, so that keys, mouse
 * and scores never wait for it. The page alone puts the picture on the canvas: `draw` resolves with a
 * function that does so, for the viewer to call for all panes at once. What was asked for before the
 * canvas was cleared is not put on it any more.
 */
import { fit, ProcessorPainter } from "./processor.js";

const PATIENCE_MS = 10_000; // the script may not come, and a worker may be ended by the browser

export class AsidePainter extends ProcessorPainter {
  /** `script`: the address of painting.js; null without one, or without workers. */
  static make(canvas, { script } = {}) {
    if (!script || typeof Worker === "undefined") return null;
    const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
    return context ? new AsidePainter(canvas, context, script) : null;
  }

  constructor(canvas, context, script) {
    super(canvas, context);
    this.turn = 0; // counts clearings
    this.buffer = null; // goes to the worker and comes back filled
    this.sent = null; // the pixels that the worker holds
    this.answer = null; // while a picture is being made
    this.worker = new Worker(script, { type: "module" });
    this.worker.onmessage = ({ data }) => {
      clearTimeout(this.timer);
      this.answer?.(data);
    };
    this.worker.onerror = (event) => {
      event.preventDefault();
      this.alone(event.message);
    };
  }

  /** One picture at a time: the viewer asks for the next when this one is there. */
  async draw(view) {
    const { turn } = this;
    const buffer = this.worker && (await this.made(view));
    return () => {
      if (turn !== this.turn) return false;
      if (!buffer) {
        super.draw(view);
        return true;
      }
      fit(this.canvas, view.size);
      this.context.putImageData(new ImageData(new Uint8ClampedArray(buffer), ...view.size), 0, 0);
      this.buffer = buffer;
      return true;
    };
  }

  /** Resolves with the picture's bytes, or with null if the worker cannot make it. */
  made({ pixels, ...view }) {
    const [width, height] = view.size;
    const bytes = width * height * 4;
    const buffer = this.buffer?.byteLength === bytes ? this.buffer : new ArrayBuffer(bytes);
    this.buffer = null;
    const isNew = pixels !== this.sent;
    this.sent = pixels;
    return new Promise((resolve) => {
      this.answer = resolve;
      this.timer = setTimeout(() => this.alone("its worker is silent"), PATIENCE_MS);
      this.worker.postMessage({ ...view, pixels: isNew ? pixels : null, buffer }, [buffer]);
    });
  }

  /** The worker did not start, or broke: from now on the page's own thread draws. */
  alone(message) {
    clearTimeout(this.timer);
    console.warn(`Images are drawn by the page itself: ${message || "its worker did not start"}`);
    this.worker?.terminate();
    this.worker = null;
    this.sent = null;
    this.answer?.(null);
  }

  clear() {
    this.turn += 1;
    this.sent = null;
    super.clear();
  }

  close() {
    super.close();
    clearTimeout(this.timer);
    this.worker?.terminate();
    this.worker = this.buffer = null;
    this.answer?.(null);
  }
}
