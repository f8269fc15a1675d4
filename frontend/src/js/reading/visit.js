/* The record of one visit of an item: for the statistician alone, never shown to a reader. */
import { displayData } from "../display/measure.js";

export function visitRecord(activity, view) {
  const { panes, ...seen } = view.record();
  return {
    ...activity.summary(),
    ...seen,
    panes: panes.map(({ number, slices }) => ({ number: Number(number), slices })),
    display: displayRecord(),
  };
}

export function displayRecord() {
  const { zoom_estimate: zoom } = displayData();
  return {
    viewport: [window.innerWidth, window.innerHeight],
    screen: [window.screen.width, window.screen.height],
    device_pixel_ratio: window.devicePixelRatio,
    colour_depth: window.screen.colorDepth,
    browser_zoom: zoom ?? null,
  };
}
