/*
 * The warning map over the panes: where a network's images are not to be relied on. One bit a pixel,
 * rows one after the other, fetched only once somebody asks for it. A pane says in words whether its
 * map is there: an empty one and one that did not come must not look alike.
 */

import { isSlow, slowPause } from "./store.js";

const AT_ONCE = 4;
const INSIDE = [64, 224, 255, 70]; // the same cyan as on the pages of a series; red, green, blue, alpha
const EDGE = [64, 224, 255, 235];

/** Flags by address: Uint8Array of bits, or null for what could not be had. */
export class FlagStore extends EventTarget {
  constructor() {
    super();
    this.close();
  }

  /** What the panes of another item may ask for; what the item before had is given back. */
  open(templates, { slices, rows, columns }) {
    this.close();
    this.templates = templates;
    this.slices = slices;
    this.bytes = Math.ceil((rows * columns) / 8);
  }

  get offered() {
    return this.templates.some(Boolean);
  }

  /** Fetch all maps, those of the slice in sight first. */
  async fetchAll(slice) {
    const mine = this.turn;
    const order = Array.from({ length: this.slices }, (_, index) => index).sort(
      (a, b) => Math.abs(a - slice) - Math.abs(b - slice),
    );
    const wanted = order
      .flatMap((index) => this.templates.map((template) => urlOf(template, index)))
      .filter((url) => url && !this.loaded.get(url) && !this.underWay.has(url));
    const next = async () => {
      while (wanted.length && mine === this.turn) await this.fetchOne(wanted.shift(), mine);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, next));
  }

  async fetchOne(url, mine) {
    this.underWay.add(url);
    let bits = null;
    try {
      let response = await fetch(url);
      for (let refusals = 0; isSlow(response) && mine === this.turn; refusals += 1) {
        const pause = slowPause(refusals, response.headers.get("Retry-After"));
        await new Promise((resolve) => setTimeout(resolve, pause));
        if (mine !== this.turn) return;
        response = await fetch(url);
      }
      const content = response.ok ? new Uint8Array(await response.arrayBuffer()) : null;
      bits = content?.length === this.bytes ? content : null;
    } catch {
      bits = null; // said on the pane
    }
    if (mine !== this.turn) return;
    this.underWay.delete(url);
    this.loaded.set(url, bits);
    this.dispatchEvent(new Event("change"));
  }

  /** undefined: not there yet; null: could not be had. */
  of(pane, slice) {
    return this.loaded.get(urlOf(this.templates[pane], slice));
  }

  close() {
    this.turn = (this.turn ?? 0) + 1;
    this.templates = [];
    this.loaded = new Map();
    this.underWay = new Set();
  }
}

const urlOf = (template, index) => template && template.replace("{index}", String(index));

/** One pane's layer: a canvas with a pixel for each of the image's, laid where the image lies. */
export class FlagLayer {
  constructor(host) {
    this.canvas = document.createElement("canvas");
    this.canvas.className = "pane-flags";
    this.canvas.hidden = true;
    this.text = document.createElement("div");
    this.text.className = "pane-flags-text";
    this.text.hidden = true;
    host.append(this.canvas, this.text);
    this.painted = null;
  }

  hide() {
    this.canvas.hidden = true;
    this.text.hidden = true;
  }

  /** `bits` as from FlagStore.of; `offered`: whether this pane has a map at all. */
  update(viewer, pane, bits, offered) {
    this.say(offered, bits, pane);
    this.canvas.hidden = !bits || pane.drawn === null;
    if (this.canvas.hidden) return;
    if (this.painted !== bits) this.paint(bits, viewer.geometry);
    const { columns, rows } = viewer.geometry;
    const placed = viewer.placed(pane);
    const style = {
      left: `${placed.left}px`,
      top: `${placed.top}px`,
      width: `${placed.x * columns}px`,
      height: `${placed.y * rows}px`,
      maskImage: hole(viewer.lens?.(pane), placed),
    };
    for (const [name, value] of Object.entries(style)) {
      if (this.canvas.style[name] !== value) this.canvas.style[name] = value;
    }
  }

  say(offered, bits, pane) {
    this.text.hidden = false;
    let said = "Warning map";
    if (!offered) said = "No warning map";
    else if (bits === undefined) said = "Warning map: loading…";
    else if (bits === null) said = "Warning map could not be loaded";
    else if (!bits.some(Boolean)) said = "Warning map: nothing on this slice";
    if (this.text.textContent !== said) this.text.textContent = said;
    pane.element.dataset.flags = !offered ? "none" : bits ? "shown" : "waiting";
  }

  paint(bits, { columns, rows }) {
    this.painted = bits;
    this.canvas.width = columns;
    this.canvas.height = rows;
    const context = this.canvas.getContext("2d");
    const image = context.createImageData(columns, rows);
    const at = (row, column) => {
      if (row < 0 || column < 0 || row >= rows || column >= columns) return 0;
      const index = row * columns + column;
      return (bits[index >> 3] >> (7 - (index & 7))) & 1;
    };
    for (let row = 0; row < rows; row += 1) {
      for (let column = 0; column < columns; column += 1) {
        if (!at(row, column)) continue;
        const inside =
          at(row - 1, column) && at(row + 1, column) && at(row, column - 1) && at(row, column + 1);
        image.data.set(inside ? INSIDE : EDGE, 4 * (row * columns + column));
      }
    }
    context.putImageData(image, 0, 0);
  }
}

/** Under the lens the image is larger than the map: the map is left out there. */
function hole(lens, { left, top }) {
  if (!lens) return "none";
  const at = `circle at ${lens.x - left}px ${lens.y - top}px`;
  return `radial-gradient(${at}, transparent ${lens.radius}px, #000 ${lens.radius}px)`;
}
