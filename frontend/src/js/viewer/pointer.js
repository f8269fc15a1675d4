/*
 * Mouse, pen and touch on a pane, with the bindings that radiologists know from their PACS
 * (controls.js has the table).
 */
import { MOUSE } from "./controls.js";

export { MOUSE };

const ZOOM_PER_PIXEL = 1.006;
const TOUCH_PIXELS_PER_SLICE = 18;
const TAP_PIXELS = 4;
const FINGER_TAP_PIXELS = 12;
const DOUBLE_MS = 400;
const DOUBLE_PIXELS = 24;
const WHEEL_PIXELS_PER_SLICE = 40;

/**
 * All optional: `before(event)` may take a press for itself by returning true (moving a region);
 * `tap(event)`: the left button or a finger was released where it was pressed; `twice(pane)`: that
 * twice; `hover(pane, [x, y] or null)`: where the mouse or finger is; `touched(pane)`: first sign of
 * work in a pane; `finger()`: what one finger does, "slice" or "window".
 */
export function bindPointer(viewer, paneOf, element, options = {}) {
  const { before, tap, twice, hover, touched, finger = () => "slice" } = options;
  const pointers = new Map(); // pointer id -> last [x, y]
  let pressedAt = [0, 0];
  let still = false; // nothing but a press so far
  let lastTap = { at: -Infinity, point: [0, 0] };
  let act = null;
  let travelled = 0;
  let wheel = 0;
  const pane = () => paneOf(element);
  const within = ([x, y]) => {
    const box = element.getBoundingClientRect();
    return [x - box.left, y - box.top];
  };

  element.addEventListener("pointerdown", (event) => {
    if (!pane()) return;
    touched?.(pane());
    if (before?.(event)) return;
    event.preventDefault();
    element.setPointerCapture(event.pointerId);
    const now = [event.clientX, event.clientY];
    pointers.set(event.pointerId, now);
    travelled = 0;
    pressedAt = now;
    still = pointers.size === 1 && event.button === 0;
    act =
      event.pointerType === "touch"
        ? "touch"
        : MOUSE.find(({ button }) => button === event.button)?.act;
    hover?.(pane(), within(now));
  });

  element.addEventListener("pointermove", (event) => {
    const now = [event.clientX, event.clientY];
    if (!pane()) return;
    if (event.pointerType !== "touch" || pointers.has(event.pointerId)) hover?.(pane(), within(now));
    const last = pointers.get(event.pointerId);
    if (!last) return;
    const reach = act === "touch" ? FINGER_TAP_PIXELS : TAP_PIXELS;
    if (still && (tap || act === "touch") && distance(now, pressedAt) < reach) return;
    if (distance(now, pressedAt) >= reach) still = false;
    const [dx, dy] = [now[0] - last[0], now[1] - last[1]];
    if (act === "touch" && pointers.size === 2) pinch(event.pointerId, now, [dx, dy]);
    pointers.set(event.pointerId, now);
    if (act === "window") viewer.dragWindow(dx, dy, pane());
    if (act === "pan") viewer.dragPan(dx, dy, pane());
    if (act === "zoom") viewer.zoomBy(ZOOM_PER_PIXEL ** -dy, pane(), within(pressedAt));
    if (act === "touch" && pointers.size === 1) oneFinger(dx, dy);
  });

  function oneFinger(dx, dy) {
    if (finger() === "window") {
      viewer.dragWindow(dx, dy, pane());
      return;
    }
    travelled += dy;
    const steps = Math.trunc(travelled / TOUCH_PIXELS_PER_SLICE);
    travelled -= steps * TOUCH_PIXELS_PER_SLICE;
    if (steps) viewer.scroll(steps, pane());
  }

  function pinch(id, now, [dx, dy]) {
    const [otherId] = [...pointers.keys()].filter((key) => key !== id);
    const other = pointers.get(otherId);
    const last = pointers.get(id);
    const middle = within([(now[0] + other[0]) / 2, (now[1] + other[1]) / 2]);
    if (distance(last, other) > 0) {
      viewer.zoomBy(distance(now, other) / distance(last, other), pane(), middle);
    }
    viewer.dragPan(dx / 2, dy / 2, pane());
  }

  function release(event) {
    pointers.delete(event.pointerId);
    if (event.pointerType === "touch" && pointers.size === 0) hover?.(pane(), null);
  }

  element.addEventListener("pointerup", (event) => {
    const tapped = still && pointers.has(event.pointerId);
    release(event);
    still = false;
    if (!tapped || !pane()) return;
    tap?.(event);
    const point = [event.clientX, event.clientY];
    const again =
      event.timeStamp - lastTap.at < DOUBLE_MS && distance(point, lastTap.point) < DOUBLE_PIXELS;
    lastTap = { at: again ? -Infinity : event.timeStamp, point };
    if (again) twice?.(pane());
  });
  element.addEventListener("pointercancel", release);
  element.addEventListener("lostpointercapture", release);
  element.addEventListener("pointerleave", () => pane() && hover?.(pane(), null));
  element.addEventListener("contextmenu", (event) => event.preventDefault());
  element.addEventListener("auxclick", (event) => event.preventDefault());

  element.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      if (!pane()) return;
      touched?.(pane());
      // A notch of a mouse wheel is one slice; a trackpad's small steps add up to one.
      const pixels = event.deltaMode === 0 ? event.deltaY : event.deltaY * WHEEL_PIXELS_PER_SLICE;
      if (event.ctrlKey) {
        // A trackpad's pinch comes so; the page itself must not grow.
        viewer.zoomBy(ZOOM_PER_PIXEL ** -pixels, pane(), within([event.clientX, event.clientY]));
        return;
      }
      if (Math.abs(pixels) >= WHEEL_PIXELS_PER_SLICE) {
        wheel = 0;
        viewer.scroll(Math.sign(pixels), pane());
        return;
      }
      wheel += pixels;
      if (Math.abs(wheel) >= WHEEL_PIXELS_PER_SLICE) {
        viewer.scroll(Math.sign(wheel), pane());
        wheel = 0;
      }
    },
    { passive: false },
  );
}

const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
