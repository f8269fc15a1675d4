/* How the pages that have not moved to ReadingView load their slices: the shared store does the work. */
import { PixelStore, sliceUrl } from "./store.js";

export { sliceUrl };
export const shared = new PixelStore();

export const releaseSlices = () => {}; // the store gives back what is not shown

/** All slices of some panes, `start` first. Resolves to the addresses that could not be loaded. */
export async function loadAll(templates, geometry, start, options) {
  const description = {
    key: templates.join(" "),
    geometry,
    panes: templates.map((template) =>
      Array.from({ length: geometry.slices }, (_, index) => sliceUrl(template, index)),
    ),
  };
  if (!options) {
    shared.prefetch([description]);
    return [];
  }
  const set = shared.open(description, start);
  for (;;) {
    options.onProgress?.(set.loaded.size, set.total, [...set.failed.keys()]);
    if (set.settled || set.abort.signal.aborted) return [...set.failed.keys()];
    await new Promise((resolve) => shared.addEventListener("change", resolve, { once: true }));
  }
}
