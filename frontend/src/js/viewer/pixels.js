/*
 * Slices over the network: raw little-endian 16-bit pixels under opaque addresses.
 *
 * A slice is fetched once, tried again when it fails, and kept until its set is released. All panes
 * of an item are fetched slice by slice in turn, so that neither is ready before the other.
 */

const CONCURRENT = 6;
const ATTEMPTS = 3;
const RETRY_MS = 600;

const loading = new Map(); // address -> promise of Uint16Array

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export const sliceUrl = (template, index) => template.replace("{index}", String(index));

async function fetchSlice(url, pixels, signal) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const response = await fetch(url, { signal });
      if (!response.ok) throw new Error(`the server answered ${response.status}`);
      const buffer = await response.arrayBuffer();
      if (buffer.byteLength !== pixels * 2) {
        throw new Error(`${buffer.byteLength} bytes came instead of ${pixels * 2}`);
      }
      return new Uint16Array(buffer);
    } catch (error) {
      if (signal?.aborted || attempt === ATTEMPTS) throw error;
      await wait(RETRY_MS * attempt);
    }
  }
}

export function loadSlice(url, pixels, signal) {
  let promise = loading.get(url);
  if (!promise) {
    promise = fetchSlice(url, pixels, signal);
    loading.set(url, promise);
    promise.catch(() => loading.delete(url)); // a later attempt starts anew
  }
  return promise;
}

export function releaseSlices(urls) {
  for (const url of urls) loading.delete(url);
}

/** Slice indices from `start` outwards: those that a reader looks at first. */
export function outwards(start, count) {
  return Array.from({ length: count }, (_, index) => index).sort(
    (a, b) => Math.abs(a - start) - Math.abs(b - start) || a - b,
  );
}

/** All slices of some panes, `start` first. Resolves to the addresses that could not be loaded. */
export async function loadAll(templates, geometry, start, { onProgress, signal } = {}) {
  const pixels = geometry.rows * geometry.columns;
  const urls = outwards(start, geometry.slices).flatMap((index) =>
    templates.map((template) => sliceUrl(template, index)),
  );
  const failed = [];
  let done = 0;
  let next = 0;
  onProgress?.(0, urls.length, failed);
  const worker = async () => {
    while (next < urls.length && !signal?.aborted) {
      const url = urls[next];
      next += 1;
      try {
        await loadSlice(url, pixels, signal);
        done += 1;
      } catch {
        if (signal?.aborted) return;
        failed.push(url);
      }
      onProgress?.(done, urls.length, failed);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENT }, worker));
  return failed;
}
