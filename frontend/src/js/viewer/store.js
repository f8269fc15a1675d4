/*
 * The pixels: fetched, tried again, kept within a bound, and given back.
 *
 * A set is all slices of all panes of one item, raw little-endian 16-bit pixels under opaque
 * addresses. One set is on the screen; the next ones are fetched ahead of it when it is complete.
 * Panes are fetched slice by slice in turn, so that none is ready before another.
 *
 * Emits "change" when a set gains or fails to gain a slice.
 */

const AT_ONCE = 6; // as many connections as a browser opens to a server
const AHEAD_AT_ONCE = 3; // the reader's own requests (scores) must not queue behind a prefetch
const PATIENCE_MS = 20_000;
const WAITS_MS = [500, 1000, 2000]; // before the second, third and fourth attempt
const SLOW_MS = [2000, 5000]; // the least and the most, while the server says that images are slow
export const LIMIT_BYTES = 512 * 1024 * 1024;

export const sliceUrl = (template, index) => template.replace("{index}", String(index));

const wait = (ms, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });

/*
 * The server says that images are slow: asked again until they come, at its own pace. A 503 without
 * the mark is a proxy's that finds no server, where nothing is saved either: a fault like others.
 */
export const isSlow = ({ status, headers }) => status === 503 && headers.has("X-Images-Slow");

export const slowPause = (refusals, retryAfter) => {
  const [least, most] = SLOW_MS;
  const asked = Number(retryAfter) * 1000 || least;
  return Math.min(most, Math.max(asked, least) + 1000 * refusals) * (0.75 + Math.random() / 2);
};

/* Answers that another attempt will not change; 401 passes after signing in again, which the page sees to. */
const isFinal = (status) => status >= 400 && status < 500 && ![408, 425, 429].includes(status);

class PixelSet {
  constructor({ key, geometry, panes }) {
    this.key = key;
    this.geometry = geometry;
    this.panes = panes; // [[address of slice 0, ...], ...]
    this.pixelCount = geometry.rows * geometry.columns;
    this.bytes = this.pixelCount * 2 * geometry.slices * panes.length;
    this.loaded = new Map(); // address -> Uint16Array
    this.failed = new Map(); // address -> HTTP status, 0 without an answer
    this.underWay = new Set();
    this.slow = new Set(); // addresses that the server will answer later
    this.abort = new AbortController();
    this.order(Math.floor(geometry.slices / 2));
  }

  /** Slices from `start` outwards: those that a reader looks at first. */
  order(start) {
    const count = this.geometry.slices;
    const indices = Array.from({ length: count }, (_, index) => index).sort(
      (a, b) => Math.abs(a - start) - Math.abs(b - start) || a - b,
    );
    this.queue = indices
      .flatMap((index) => this.panes.map((urls) => urls[index]))
      .filter((url) => !this.loaded.has(url) && !this.failed.has(url) && !this.underWay.has(url));
  }

  get total() {
    return this.panes.length * this.geometry.slices;
  }

  get complete() {
    return this.loaded.size === this.total;
  }

  /** Nothing more will come by itself. */
  get settled() {
    return this.loaded.size + this.failed.size === this.total;
  }
}

export class PixelStore extends EventTarget {
  constructor(limit = LIMIT_BYTES) {
    super();
    this.limit = limit;
    this.current = null;
    this.ahead = [];
    this.running = 0;
    window.addEventListener("online", () => this.retry());
  }

  /** Make a set the one on the screen; `slice` is fetched first. */
  open(description, slice) {
    const known = this.find(description.key);
    const before = this.current;
    this.current = known ?? new PixelSet(description);
    this.ahead = this.ahead.filter((set) => set !== this.current);
    if (before && before !== this.current) this.drop(before);
    this.current.order(slice);
    this.retry(); // what failed while it was fetched ahead is tried again
    this.pump();
    return this.current;
  }

  /** The sets to fetch after the current one; those that are named no more are given back. */
  prefetch(descriptions) {
    const wanted = [];
    let bytes = this.current?.bytes ?? 0;
    for (const description of descriptions) {
      if (description.key === this.current?.key) continue;
      const set = this.ahead.find(({ key }) => key === description.key) ?? new PixelSet(description);
      bytes += set.bytes;
      if (bytes > this.limit) break; // fetched when it is opened
      wanted.push(set);
    }
    for (const set of this.ahead) if (!wanted.includes(set)) this.drop(set);
    this.ahead = wanted;
    this.pump();
  }

  /** The slice that the reader looks at goes to the front. */
  hurry(slice) {
    this.current?.order(slice);
    this.pump();
  }

  retry() {
    const set = this.current;
    if (!set?.failed.size) return;
    set.failed.clear();
    set.order(Math.floor(set.geometry.slices / 2));
    this.changed();
    this.pump();
  }

  find(key) {
    return [this.current, ...this.ahead].find((set) => set?.key === key);
  }

  drop(set) {
    set.abort.abort();
    set.queue = [];
    set.loaded.clear();
  }

  close() {
    for (const set of [this.current, ...this.ahead]) if (set) this.drop(set);
    this.current = null;
    this.ahead = [];
  }

  /** Bytes of pixels held. */
  held() {
    return [this.current, ...this.ahead].reduce(
      (sum, set) => sum + (set ? set.loaded.size * set.pixelCount * 2 : 0),
      0,
    );
  }

  pump() {
    while (this.current?.queue.length && this.running < AT_ONCE) {
      this.fetchInto(this.current, this.current.queue.shift(), false);
    }
    if (!this.current?.settled) return;
    for (const set of this.ahead) {
      while (set.queue.length && this.running < AHEAD_AT_ONCE) {
        this.fetchInto(set, set.queue.shift(), true);
      }
    }
  }

  async fetchInto(set, url, ahead) {
    this.running += 1;
    set.underWay.add(url);
    try {
      const pixels = await fetchSlice(url, set.pixelCount, set.abort.signal, ahead, () => {
        if (set.slow.has(url)) return;
        set.slow.add(url);
        this.changed(set);
      });
      if (!set.abort.signal.aborted) set.loaded.set(url, pixels);
    } catch (error) {
      if (!set.abort.signal.aborted) set.failed.set(url, error.status ?? 0);
    } finally {
      set.underWay.delete(url);
      set.slow.delete(url);
      this.running -= 1;
    }
    if (set.abort.signal.aborted) return this.pump();
    this.changed(set);
    this.pump();
  }

  changed(set = this.current) {
    this.dispatchEvent(new CustomEvent("change", { detail: set }));
  }
}

async function fetchSlice(url, pixelCount, signal, ahead, slow) {
  for (let attempt = 0, refusals = 0; ; attempt += 1) {
    try {
      return await fetchOnce(url, pixelCount, signal, ahead);
    } catch (error) {
      if (error.slow && !signal.aborted) {
        slow();
        await wait(slowPause(refusals, error.after), signal);
        if (signal.aborted) throw error;
        refusals += 1;
        attempt = -1; // the server is there: faults are counted anew
        continue;
      }
      if (signal.aborted || isFinal(error.status) || attempt === WAITS_MS.length) throw error;
      await wait(WAITS_MS[attempt] * (0.75 + Math.random() / 2), signal);
      if (signal.aborted) throw error;
    }
  }
}

async function fetchOnce(url, pixelCount, signal, ahead) {
  // AbortSignal.any is younger than the browsers we support.
  const own = new AbortController();
  const stop = () => own.abort();
  const timer = setTimeout(stop, PATIENCE_MS);
  signal.addEventListener("abort", stop);
  try {
    const response = await fetch(url, {
      signal: own.signal,
      priority: ahead ? "low" : "high",
      headers: ahead ? { Purpose: "prefetch" } : {},
    });
    if (!response.ok) {
      throw Object.assign(new Error(`the server answered ${response.status}`), {
        status: response.status,
        slow: isSlow(response),
        after: response.headers.get("Retry-After"),
      });
    }
    const buffer = await response.arrayBuffer();
    if (buffer.byteLength !== pixelCount * 2) {
      throw new Error(`${buffer.byteLength} bytes came instead of ${pixelCount * 2}`);
    }
    return new Uint16Array(buffer);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
}
