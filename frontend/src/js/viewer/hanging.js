/* How many columns and rows of panes show the images largest. */
import { HANGINGS } from "./controls.js";

/**
 * `count` panes of images `image` ({width, height} in mm) in a space ({width, height} in screen
 * pixels) → {columns, rows}.
 */
export function arrange(mode, count, image, space) {
  const hanging = HANGINGS.find((one) => one.mode === mode);
  if (!hanging) throw new Error(`No hanging for the mode "${mode}".`);
  if (hanging.sides) return { columns: count, rows: 1 };
  let best = { columns: count, rows: 1, scale: 0 };
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const scale = Math.min(space.width / columns / image.width, space.height / rows / image.height);
    // Of two that show the images about equally large, the one with fewer empty places.
    const empty = columns * rows - count;
    if (scale * (1 - 0.04 * empty) > best.scale) {
      best = { columns, rows, scale: scale * (1 - 0.04 * empty) };
    }
  }
  return { columns: best.columns, rows: best.rows };
}
