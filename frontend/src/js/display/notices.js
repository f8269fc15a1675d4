/* Says when the display does the images no justice: too small, zoomed by the browser, six bits. */
import { displayData } from "./measure.js";

const SHORT_SIDE = 600; // a tablet held upright or across has both
const LONG_SIDE = 960;
const DISMISSED = "readerstudy.display-notices-read";
const EIGHT_BITS = 24; // three channels

/** The sentences for a display as measured; `contrast` is the result of the test, if there is one. */
export function noticesFor({ viewport, zoom_estimate: zoom, colour_depth: depth }, contrast = null) {
  const notices = [];
  const [long, short] = [Math.max(...viewport), Math.min(...viewport)];
  if (long < LONG_SIDE || short < SHORT_SIDE) {
    notices.push({
      code: "small",
      text: "This window is small for reading: enlarge it, or use a larger screen.",
    });
  }
  if (zoom !== null && zoom !== 1) {
    notices.push({
      code: "zoomed",
      text: `The browser shows pages at ${Math.round(zoom * 100)} %: set it back with Ctrl 0 (⌘ 0), so that images keep their pixels.`,
    });
  }
  if (depth < EIGHT_BITS || contrast?.ramp === "banded") {
    notices.push({
      code: "bits",
      text: "This display seems to show fewer than 256 greys: use another one if you can.",
    });
  }
  return notices;
}

/** Keeps the notice up to date. `onChange(codes)` hears what applies, dismissed or not. */
export function watchDisplay(host, { contrast = null, onChange } = {}) {
  let shown = null;
  let result = contrast;
  const text = document.createElement("span");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "btn btn-quiet btn-small";
  button.textContent = "Understood";
  host.setAttribute("role", "status");
  host.replaceChildren(text, button);

  const update = () => {
    const notices = noticesFor(displayData(), result);
    const codes = notices.map(({ code }) => code).join(" ");
    if (codes !== shown) onChange?.(notices.map(({ code }) => code));
    shown = codes;
    host.hidden = !codes || sessionStorage.getItem(DISMISSED) === codes;
    text.textContent = notices.map((notice) => notice.text).join(" ");
  };
  button.addEventListener("click", () => {
    sessionStorage.setItem(DISMISSED, shown);
    update();
  });
  window.addEventListener("resize", update);
  update();
  return {
    /** The result of a test that was made meanwhile. */
    tested(contrastNow) {
      result = contrastNow;
      update();
    },
  };
}
