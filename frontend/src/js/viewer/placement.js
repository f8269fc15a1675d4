/*
 * Where an image lies in its pane. Screen positions are CSS pixels from the pane's upper left corner;
 * image positions are continuous pixel indices (0, 0 is the centre of the first pixel).
 */

/**
 * `size` is the pane: {width, height, ratio} with `ratio` device pixels a CSS pixel.
 * Returns {scale: screen pixels a millimetre, x, y: screen pixels an image pixel, left, top: where
 * the image's corner lies}.
 */
export function place(geometry, state, size) {
  const fit = Math.min(size.width / geometry.width, size.height / geometry.height);
  let scale = (fit || 1) * state.zoom;
  if (!state.smooth) scale = wholePixels(scale, geometry, size.ratio);
  const x = scale * geometry.columnSpacing;
  const y = scale * geometry.rowSpacing;
  let left = size.width / 2 - (geometry.columns / 2) * x - state.pan[0] * scale;
  let top = size.height / 2 - (geometry.rows / 2) * y - state.pan[1] * scale;
  if (!state.smooth) {
    // Borders of image pixels fall on borders of screen pixels, so that none is drawn wider.
    left = Math.round(left * size.ratio) / size.ratio;
    top = Math.round(top * size.ratio) / size.ratio;
  }
  return { scale, x, y, left, top };
}

/** The largest scale not above `scale` at which an image pixel is 1, 2, 3… screen pixels wide. */
function wholePixels(scale, geometry, ratio) {
  const spacing = Math.min(geometry.columnSpacing, geometry.rowSpacing);
  const device = scale * spacing * ratio;
  return Math.max(1, Math.floor(device + 1e-6)) / (spacing * ratio);
}

export function toScreen(placed, { column, row }) {
  return [placed.left + (column + 0.5) * placed.x, placed.top + (row + 0.5) * placed.y];
}

export function toImage(placed, [x, y]) {
  return { column: (x - placed.left) / placed.x - 0.5, row: (y - placed.top) / placed.y - 0.5 };
}
