/*
 * The next item's pixels, fetched while the reader looks at this one. The requests carry
 * `Purpose: prefetch`, so that the server does not take them for the reader's opening the item.
 */
import { Geometry } from "../viewer/geometry.js";
import { loadAll } from "../viewer/pixels.js";

const headers = { Purpose: "prefetch" };
const idle = () =>
  new Promise((resolve) => {
    if (window.requestIdleCallback) window.requestIdleCallback(resolve, { timeout: 2000 });
    else setTimeout(resolve, 500);
  });

export async function prefetch(url, signal) {
  await idle();
  if (signal.aborted) return;
  try {
    const response = await fetch(url, { headers: { ...headers, Accept: "text/html" }, signal });
    if (!response.ok || response.redirected) return;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const dataUrl = page.querySelector("#reading")?.dataset.itemUrl;
    if (!dataUrl) return;
    const data = await fetch(dataUrl, { headers: { ...headers, Accept: "application/json" }, signal });
    if (!data.ok) return;
    const { geometry, panes } = await data.json();
    const start = Math.floor(geometry.slices / 2);
    // Not tied to `signal`: going on to that item must not throw its pixels away.
    await loadAll(panes.map(({ slices }) => slices), new Geometry(geometry), start);
  } catch {
    // Only a convenience: the item is loaded in full when it is opened.
  }
}
