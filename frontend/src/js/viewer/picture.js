/*
 * A pane's picture of a slice of 16-bit pixels, made by the processor: words of a screen pixel each,
 * as ImageData takes them. The same picture as webgl.js: values are interpolated first and windowed
 * after, and where the image is drawn smaller the mean over a screen pixel is shown.
 */

const MOST_TAPS = 4; // samples along an axis, as in webgl.js
const SPAN = 1.5; // image pixels that one interpolated sample stands for
const MOST_PLANS = 4; // across and down, of the image and of the lens
const BLACK = 0xff000000;
const RING = 0xffa89e80; // little-endian #809ea8

/**
 * For the screen pixels [start, end) along one axis: which image pixels they show and by how much.
 * `taps` image pixels a screen pixel, in `index` and `weight`; screen pixels outside [first, last)
 * lie beside the image. With two taps these are `left` and its neighbour, by `share`.
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
  const left = new Int32Array(length);
  const share = new Float64Array(length);
  if (taps === 2) {
    for (let at = 0; at < length; at += 1) {
      left[at] = index[2 * at];
      share[at] = index[2 * at + 1] === index[2 * at] ? 0 : weight[2 * at + 1];
    }
  }
  return { start, first: Math.min(first, last), last, taps, index, weight, left, share };
}

/*
 * Both ways give greys (0 to 255, not cut off yet): windowing commutes with interpolation, so it is
 * done where there are fewest values.
 */

/** A row of the image stretched to the screen's columns [first, last). */
function stretchRow(target, slice, { start, taps, index, weight, left, share }, row, first, last) {
  const { pixels, columns, low, factor, line } = slice;
  const base = row * columns;
  const shift = low * factor - 0.5; // cutting off the fraction rounds
  if (taps === 2) {
    // Windowed once an image pixel, not once a screen pixel; the last one stands twice.
    for (let x = 0; x < columns; x += 1) line[x] = pixels[base + x] * factor - shift;
    line[columns] = line[columns - 1];
    for (let x = first; x < last; x += 1) {
      const at = left[x - start];
      const value = line[at];
      target[x] = value + (line[at + 1] - value) * share[x - start];
    }
    return;
  }
  let at = (first - start) * taps;
  for (let x = first; x < last; x += 1, at += taps) {
    let value = 0;
    for (let tap = 0; tap < taps; tap += 1) value += weight[at + tap] * pixels[base + index[at + tap]];
    target[x] = value * factor - shift;
  }
}

/** Screen pixels [from, to) between two stretched rows; word `offset` is the row's first. */
function mixRows(words, offset, greys, above, below, part, from, to) {
  for (let x = from; x < to; x += 1) {
    const top = above[x];
    const grey = (top + (below[x] - top) * part) | 0;
    words[offset + x] = greys[grey < 0 ? 0 : grey > 255 ? 255 : grey];
  }
}

export class Picture {
  constructor() {
    this.rows = []; // stretched rows of the image: {of: row, greys}
    this.plans = [];
    this.greys = new Uint32Array(256);
  }

  /**
   * Fill `words`, [height, width] of `size`. `placed` as from placement.js; `lens` {x, y, radius,
   * magnification} in CSS pixels, or null.
   */
  paint(words, { pixels, columns, rows, size, placed, ratio, low, width, invert, smooth, lens }) {
    [this.width, this.height] = size;
    this.words = words;
    for (let grey = 0; grey < 256; grey += 1) {
      this.greys[grey] = BLACK | ((invert ? 255 - grey : grey) * 0x010101);
    }
    words.fill(BLACK);
    const slice = { pixels, columns, rows, low, factor: 255 / width, smooth, line: this.line(columns) };
    const corner = [placed.left * ratio, placed.top * ratio];
    const perPixel = [1 / (placed.x * ratio), 1 / (placed.y * ratio)];
    this.fill(slice, [0, 0, ...size], corner, perPixel, null);
    if (lens) this.magnify(slice, corner, perPixel, lens, ratio);
    this.words = null;
  }

  /** Fill a box of screen pixels; `spanOf(row)` may narrow a row to [from, to). */
  fill(slice, [x0, y0, x1, y1], corner, perPixel, spanOf) {
    const { words, greys } = this;
    const stride = this.width;
    const across = this.planned(x0, x1, corner[0], perPixel[0], slice.columns, slice.smooth);
    const down = this.planned(y0, y1, corner[1], perPixel[1], slice.rows, slice.smooth);
    const { first, last } = across;
    if (first >= last) return;
    const rows = this.emptyRows();
    // Neighbouring screen rows lie between the same rows of the image, so these are kept.
    const stretched = (row, spare) => {
      const kept = rows.find(({ of }) => of === row);
      if (kept) return kept;
      const taken = rows.find((one) => one !== spare);
      stretchRow(taken.greys, slice, across, row, first, last);
      taken.of = row;
      return taken;
    };
    for (let y = down.first; y < down.last; y += 1) {
      const [from, to] = spanOf ? spanOf(y) : [first, last];
      const left = Math.max(first, from);
      const right = Math.min(last, to);
      if (left >= right) continue;
      const at = (y - y0) * down.taps;
      if (down.taps > 2) {
        const sum = this.meanRow(slice, across, down, at);
        mixRows(words, y * stride, greys, sum, sum, 0, left, right);
        continue;
      }
      const other = down.taps === 2 ? down.index[at + 1] : down.index[at];
      const above = stretched(down.index[at], rows.find(({ of }) => of === other));
      const below = stretched(other, above);
      const part = down.taps === 2 ? down.weight[at + 1] : 0;
      mixRows(words, y * stride, greys, above.greys, below.greys, part, left, right);
    }
  }

  /** As long as nothing but the slice or the window changes, the plans stay. */
  planned(...given) {
    const kept = this.plans.find((one) => given.every((value, at) => value === one.given[at]));
    if (kept) return kept.made;
    const made = plan(...given);
    this.plans = [{ given, made }, ...this.plans].slice(0, MOST_PLANS);
    return made;
  }

  /** A row of the image, windowed, with one more place at its end. */
  line(columns) {
    if (this.windowed?.length !== columns + 1) this.windowed = new Float64Array(columns + 1);
    return this.windowed;
  }

  /** Three rows in the picture's width, of no row of the image yet: two to mix, one to add up in. */
  emptyRows() {
    const { width } = this;
    if (this.rows[0]?.greys.length !== width) {
      this.rows = Array.from({ length: 3 }, () => ({ greys: new Float64Array(width) }));
    }
    for (const row of this.rows) row.of = -1;
    return this.rows.slice(0, 2);
  }

  /** The weighted mean of more than two rows, where the image is drawn much smaller. */
  meanRow(slice, across, { taps, index, weight }, at) {
    const { first, last } = across;
    const [{ greys: one }, , { greys: sum }] = this.rows;
    sum.fill(0, first, last);
    for (let tap = 0; tap < taps; tap += 1) {
      const share = weight[at + tap];
      stretchRow(one, slice, across, index[at + tap], first, last);
      for (let x = first; x < last; x += 1) sum[x] += share * one[x];
    }
    return sum;
  }

  magnify(slice, corner, perPixel, lens, ratio) {
    const [x, y, radius] = [lens.x * ratio, lens.y * ratio, lens.radius * ratio];
    const { width, height } = this;
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
}
