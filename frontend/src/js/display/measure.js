/* What a page can know of the display it is on. */

/* The steps that browsers offer, and the scalings of operating systems: a ratio that fits both is a
   zoom; a window with a side bar has some other ratio. */
const ZOOMS = [0.25, 0.33, 0.5, 0.67, 0.75, 0.8, 0.9, 1.1, 1.25, 1.5, 1.75, 2, 2.4, 2.5, 3, 4, 5];
const SCALINGS = [1, 1.25, 1.5, 1.75, 2, 2.25, 2.5, 2.75, 3, 3.5, 4];
const NEAR = 0.03;

const near = (a, b) => Math.abs(a / b - 1) < NEAR;

/** 1 where the browser shows the page in its own size; null where that cannot be told. */
export function zoomEstimate({ outerWidth, innerWidth, devicePixelRatio } = window) {
  if (!outerWidth || !innerWidth) return null;
  const ratio = outerWidth / innerWidth;
  if (near(ratio, 1)) return 1;
  const zoom = ZOOMS.find((one) => near(ratio, one));
  if (zoom && SCALINGS.some((scaling) => near(devicePixelRatio / zoom, scaling))) return zoom;
  return null;
}

export function displayData() {
  const { screen } = window;
  return {
    viewport: [window.innerWidth, window.innerHeight],
    screen: [screen.width, screen.height],
    device_pixel_ratio: window.devicePixelRatio,
    zoom_estimate: zoomEstimate(),
    colour_depth: screen.colorDepth,
    orientation: window.innerWidth >= window.innerHeight ? "landscape" : "portrait",
    touch: window.matchMedia("(any-pointer: coarse)").matches,
    painter: document.querySelector("[data-painter]")?.dataset.painter ?? null,
  };
}
