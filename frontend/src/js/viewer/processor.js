/*
 * Draws a slice of 16-bit pixels on a canvas with the processor: for machines without a graphics
 * card that the browser can use (remote desktops, locked-down browsers), where WebGL would be
 * emulated and slow. The same picture as webgl.js: values are interpolated first and windowed
 * after, and where the image is drawn smaller the mean over a screen pixel is shown.
 */

const MOST_TAPS = 4; // samples along an axis, as in webgl.js
const SPAN = 1.5; // image pixels that one interpolated sample stands for
const BLACK = 0xff000000;
const RING = 0xffa89e80; // little-endian #809ea8

/**
 * For the screen pixels [start, end) along one axis: which image pixels they show and by how much.
 * `taps` image pixels a screen pixel, in `index` and `weight`; screen pixels outside [first, last)
 * lie beside the image.
 */
function plan(start, end, corner, perPixel, count, smooth) {
  const samples = smooth ? Math.min(MOST_TAPS, Math.max(1, Math.ceil(perPixel / SPAN))) : 1;
  const taps = samples * (smooth ? 2 : 1);
  const length = Math.max(0, end - start);
  const index = new Int32Array(length * taps);
  const weight = new Float32Array(length * taps);
  let first = end;
  let last = start;
  for (let screen = start; screen < end; screen += 1) {
    const p = (screen + 0.5 - corner) * perPixel;
    if (p < 0 || p >= count) continue;
    if (screen < first) first = screen;
    last = screen + 1;
    let at = (screen - start) * taps;
    if (!smooth) {
      index[at] = Math.floor(p);
      weight[at] = 1;
      continue;
    }
    for (let sample = 0; sample < samples; sample += 1) {
      const q = p + ((sample + 0.5) / samples - 0.5) * perPixel - 0.5;
      const low = Math.floor(q);
      const part = q - low;
      index[at] = Math.min(count - 1, Math.max(0, low));
      weight[at] = (1 - part) / samples;
      index[at + 1] = Math.min(count - 1, Math.max(0, low + 1));
      weight[at + 1] = part / samples;
      at += 2;
    }
  }
  return { start, first: Math.min(first, last), last, taps, index, weight };
}

/**
 * One screen row: the image between its rows, windowed to greys (0 to 255, not cut off yet), which
 * commutes with interpolating along the row. Only the columns that are shown.
 */
function blendRows(target, { pixels, columns, low, factor }, rows, at, lowest, highest) {
  const { taps, index, weight } = rows;
  const shift = low * factor - 0.5; // cutting off the fraction rounds
  let base = index[at] * columns;
  if (taps === 2) {
    const other = index[at + 1] * columns;
    const part = weight[at] * factor;
    const share = weight[at + 1] * factor;
    for (let column = lowest; column <= highest; column += 1) {
      target[column] = part * pixels[base + column] + share * pixels[other + column] - shift;
    }
    return;
  }
  let part = weight[at] * factor;
  for (let column = lowest; column <= highest; column += 1) {
    target[column] = part * pixels[base + column] - shift;
  }
  for (let tap = 1; tap < taps; tap += 1) {
    base = index[at + tap] * columns;
    part = weight[at + tap] * factor;
    for (let column = lowest; column <= highest; column += 1) {
      target[column] += part * pixels[base + column];
    }
  }
}

/** Screen pixels [from, to) of a row, of which pixel `from` is word `at`, from its blended row. */
function drawRow(words, at, greys, row, across, from, to) {
  const { start, taps, index, weight } = across;
  let tapAt = (from - start) * taps;
  const end = at + to - from;
  if (taps === 2) {
    for (let word = at; word < end; word += 1, tapAt += 2) {
      const left = row[index[tapAt]];
      const grey = left + (row[index[tapAt + 1]] - left) * weight[tapAt + 1];
      words[word] = greys[grey < 0 ? 0 : grey > 255 ? 255 : grey | 0];
    }
    return;
  }
  for (let word = at; word < end; word += 1, tapAt += taps) {
    let grey = row[index[tapAt]] * weight[tapAt];
    for (let tap = 1; tap < taps; tap += 1) grey += row[index[tapAt + tap]] * weight[tapAt + tap];
    words[word] = greys[grey < 0 ? 0 : grey > 255 ? 255 : grey | 0];
  }
}

export class ProcessorPainter {
  static kind = "processor";

  static make(canvas) {
    const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
    return context ? new ProcessorPainter(canvas, context) : null;
  }

  constructor(canvas, context) {
    this.canvas = canvas;
    this.context = context;
    this.words = null;
    this.row = new Float32Array(0);
    this.greys = new Uint32Array(256);
  }

  /** `placed` as from placement.js; `lens` {x, y, radius, magnification} in CSS pixels, or null. */
  draw({ pixels, columns, rows, placed, ratio, low, width, invert, smooth, lens }) {
    const { canvas } = this;
    if (this.image?.width !== canvas.width || this.image?.height !== canvas.height) {
      this.image = this.context.createImageData(canvas.width, canvas.height);
      this.words = new Uint32Array(this.image.data.buffer);
    }
    if (this.row.length < columns) this.row = new Float32Array(columns);
    for (let grey = 0; grey < 256; grey += 1) {
      this.greys[grey] = BLACK | ((invert ? 255 - grey : grey) * 0x010101);
    }
    this.words.fill(BLACK);
    const slice = { pixels, columns, rows, low, factor: 255 / width, smooth };
    const corner = [placed.left * ratio, placed.top * ratio];
    const perPixel = [1 / (placed.x * ratio), 1 / (placed.y * ratio)];
    this.fill(slice, [0, 0, canvas.width, canvas.height], corner, perPixel, null);
    if (lens) this.magnify(slice, corner, perPixel, lens, ratio);
    this.context.putImageData(this.image, 0, 0);
  }

  /** Fill a box of screen pixels; `spanOf(row)` may narrow a row to [from, to). */
  fill(slice, [x0, y0, x1, y1], corner, perPixel, spanOf) {
    const { words, greys, row } = this;
    const stride = this.canvas.width;
    const across = plan(x0, x1, corner[0], perPixel[0], slice.columns, slice.smooth);
    const down = plan(y0, y1, corner[1], perPixel[1], slice.rows, slice.smooth);
    const { first, last, taps, index } = across;
    if (first >= last) return;
    const lowest = index[(first - x0) * taps];
    const highest = index[(last - 1 - x0) * taps + taps - 1];
    for (let y = down.first; y < down.last; y += 1) {
      const [from, to] = spanOf ? spanOf(y) : [first, last];
      const left = Math.max(first, from);
      const right = Math.min(last, to);
      if (left >= right) continue;
      blendRows(row, slice, down, (y - y0) * down.taps, lowest, highest);
      drawRow(words, y * stride + left, greys, row, across, left, right);
    }
  }

  magnify(slice, corner, perPixel, lens, ratio) {
    const [x, y, radius] = [lens.x * ratio, lens.y * ratio, lens.radius * ratio];
    const { width, height } = this.canvas;
    const box = [
      Math.max(0, Math.floor(x - radius)),
      Math.max(0, Math.floor(y - radius)),
      Math.min(width, Math.ceil(x + radius)),
      Math.min(height, Math.ceil(y + radius)),
    ];
    const spans = (length) => (row) => {
      const half = Math.sqrt(Math.max(0, length ** 2 - (row + 0.5 - y) ** 2));
      return [Math.max(box[0], Math.ceil(x - half - 0.5)), Math.min(box[2], Math.ceil(x + half - 0.5))];
    };
    const [ring, inner] = [spans(radius), spans(radius - 1.5)];
    for (let row = box[1]; row < box[3]; row += 1) {
      const [from, to] = ring(row);
      if (to > from) this.words.fill(RING, row * width + from, row * width + to);
      const [inside, outside] = inner(row);
      if (outside > inside) this.words.fill(BLACK, row * width + inside, row * width + outside);
    }
    const { magnification } = lens;
    this.fill(
      slice,
      box,
      [x - (x - corner[0]) * magnification, y - (y - corner[1]) * magnification],
      perPixel.map((step) => step / magnification),
      inner,
    );
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
    this.words = null;
  }
}
