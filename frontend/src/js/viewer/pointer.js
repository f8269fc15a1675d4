/*
 * Mouse, pen and touch on a pane, with the bindings that radiologists know from their PACS.
 * The table also prints the help.
 */

export const MOUSE = [
  { button: 0, mark: "Left drag", does: "Window: across for width, down for darker", act: "window" },
  { button: 1, mark: "Middle drag", does: "Pan", act: "pan" },
  { button: 2, mark: "Right drag", does: "Zoom: up to enlarge", act: "zoom" },
  { mark: "Wheel", does: "Slice" },
  { mark: "Two fingers", does: "Zoom and pan" },
  { mark: "One finger, up or down", does: "Slice" },
];

const ZOOM_PER_PIXEL = 1.006;
const TOUCH_PIXELS_PER_SLICE = 18;
const TAP_PIXELS = 4;
const WHEEL_PIXELS_PER_SLICE = 40;

/**
 * `before(event)` may take a press for itself by returning true (moving a region); `tap(event)` is
 * called when the left button or a finger is released where it was pressed.
 */
export function bindPointer(viewer, paneOf, element, { before, tap } = {}) {
  const pointers = new Map(); // pointer id -> last [x, y]
  let pressedAt = [0, 0];
  let still = false; // nothing but a press so far
  let act = null;
  let travelled = 0;
  let wheel = 0;

  element.addEventListener("pointerdown", (event) => {
    if (before?.(event)) return;
    event.preventDefault();
    element.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    travelled = 0;
    pressedAt = [event.clientX, event.clientY];
    still = Boolean(tap) && pointers.size === 1 && event.button === 0;
    act =
      event.pointerType === "touch"
        ? "touch"
        : MOUSE.find(({ button }) => button === event.button)?.act;
  });

  element.addEventListener("pointermove", (event) => {
    const last = pointers.get(event.pointerId);
    if (!last) return;
    const now = [event.clientX, event.clientY];
    if (still && Math.hypot(now[0] - pressedAt[0], now[1] - pressedAt[1]) < TAP_PIXELS) return;
    still = false;
    const [dx, dy] = [now[0] - last[0], now[1] - last[1]];
    if (act === "touch" && pointers.size === 2) pinch(event.pointerId, now, [dx, dy]);
    pointers.set(event.pointerId, now);
    if (act === "window") viewer.dragWindow(dx, dy);
    if (act === "pan") viewer.dragPan(dx, dy, paneOf(element));
    if (act === "zoom") viewer.zoomBy(ZOOM_PER_PIXEL ** -dy);
    if (act === "touch" && pointers.size === 1) {
      travelled += dy;
      const steps = Math.trunc(travelled / TOUCH_PIXELS_PER_SLICE);
      travelled -= steps * TOUCH_PIXELS_PER_SLICE;
      if (steps) viewer.scroll(steps);
    }
  });

  function pinch(id, now, [dx, dy]) {
    const [otherId] = [...pointers.keys()].filter((key) => key !== id);
    const other = pointers.get(otherId);
    const before = pointers.get(id);
    const length = (point) => Math.hypot(point[0] - other[0], point[1] - other[1]);
    if (length(before) > 0) viewer.zoomBy(length(now) / length(before));
    viewer.dragPan(dx / 2, dy / 2, paneOf(element));
  }

  const release = (event) => pointers.delete(event.pointerId);
  element.addEventListener("pointerup", (event) => {
    const tapped = still && pointers.has(event.pointerId);
    release(event);
    still = false;
    if (tapped) tap(event);
  });
  element.addEventListener("pointercancel", release);
  element.addEventListener("lostpointercapture", release);
  element.addEventListener("contextmenu", (event) => event.preventDefault());
  element.addEventListener("auxclick", (event) => event.preventDefault());

  element.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      // A notch of a mouse wheel is one slice; a trackpad's small steps add up to one.
      const pixels = event.deltaMode === 0 ? event.deltaY : event.deltaY * WHEEL_PIXELS_PER_SLICE;
      if (Math.abs(pixels) >= WHEEL_PIXELS_PER_SLICE) {
        wheel = 0;
        viewer.scroll(Math.sign(pixels));
        return;
      }
      wheel += pixels;
      if (Math.abs(wheel) >= WHEEL_PIXELS_PER_SLICE) {
        viewer.scroll(Math.sign(wheel));
        wheel = 0;
      }
    },
    { passive: false },
  );
}
