/*
 * Two stacks side by side, as OHIF shows them: Cornerstone3D, its DICOM loader, its web workers for
 * decoding, slices loaded by its own pool from the middle outwards. Only the benchmarks use this.
 */
import * as cornerstone from "@cornerstonejs/core";
import { init as initLoader } from "@cornerstonejs/dicom-image-loader";

const { Enums, RenderingEngine, imageLoader, cache } = cornerstone;
const elements = [...document.querySelectorAll(".pane")];
let viewports = [];
let slice = 0;
let slices = 0;

async function start() {
  await cornerstone.init();
  initLoader({ maxWebWorkers: 2 });
  const engine = new RenderingEngine("comparison");
  viewports = elements.map((element, index) => {
    engine.enableElement({ viewportId: `pane-${index}`, element, type: Enums.ViewportType.STACK });
    return engine.getViewport(`pane-${index}`);
  });
  for (const element of elements) {
    element.addEventListener("wheel", (event) => {
      event.preventDefault();
      scrollBy(Math.sign(event.deltaY));
    }, { passive: false });
  }
}

const rendered = (element) =>
  new Promise((resolve) => {
    element.addEventListener(Enums.Events.IMAGE_RENDERED, resolve, { once: true });
  });

/** Milliseconds of the page's clock: asked, first slice of both panes drawn, every slice loaded. */
async function show(position) {
  const asked = performance.now();
  const answer = await fetch(`/dicom/item/${position}/`);
  const { panes, window } = await answer.json();
  cache.purgeCache(); // the case before is left, as in a viewer that holds one case
  slices = panes[0].length;
  slice = Math.floor(slices / 2);
  const stacks = panes.map((urls) => urls.map((url) => `wadouri:${location.origin}${url}`));
  const drawn = elements.map(rendered);
  await Promise.all(viewports.map((viewport, index) => viewport.setStack(stacks[index], slice)));
  for (const viewport of viewports) {
    viewport.setProperties({
      voiRange: { lower: window.center - window.width / 2, upper: window.center + window.width / 2 },
    });
    viewport.render();
  }
  await Promise.all(drawn);
  await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  const first = performance.now();
  const order = [...Array(slices).keys()].sort((a, b) => Math.abs(a - slice) - Math.abs(b - slice));
  const queue = order.flatMap((index) => stacks.map((ids) => ids[index]));
  const take = async () => {
    while (queue.length) await imageLoader.loadAndCacheImage(queue.shift());
  };
  await Promise.all(Array.from({ length: 6 }, take));
  return { asked, first, all: performance.now() };
}

function scrollBy(step) {
  slice = Math.min(slices - 1, Math.max(0, slice + step));
  for (const viewport of viewports) viewport.setImageIdIndex(slice);
}

window.comparison = { show, cornerstone };
await start();
window.firstItem = await show(Number(document.body.dataset.position));
document.documentElement.dataset.ready = "1";
