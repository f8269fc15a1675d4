/* The keys of the measuring page. This one table answers the keys and prints the help. */

export function keyTable({ viewer, select, nudge, reshape, rotate, placeHere, undo, help, tissues }) {
  const region = "Region";
  const images = "Images";
  const digits = tissues.slice(0, 9).map((_, index) => String(index + 1));
  return [
    { group: region, keys: digits, show: `1 – ${digits.length}`, does: "Choose a tissue", run: (key) => select(Number(key) - 1) },
    { group: region, keys: ["Enter", "a"], does: "Place on this slice: in the middle of the view, or where it was", run: placeHere },
    { group: region, keys: ["ArrowLeft"], does: "Move one pixel left", run: () => nudge(-1, 0) },
    { group: region, keys: ["ArrowRight"], does: "Move one pixel right", run: () => nudge(1, 0) },
    { group: region, keys: ["ArrowUp"], does: "Move one pixel up", run: () => nudge(0, -1) },
    { group: region, keys: ["ArrowDown"], does: "Move one pixel down", run: () => nudge(0, 1) },
    { group: region, keys: ["Shift+ArrowLeft"], does: "Ten pixels left", run: () => nudge(-10, 0) },
    { group: region, keys: ["Shift+ArrowRight"], does: "Ten pixels right", run: () => nudge(10, 0) },
    { group: region, keys: ["Shift+ArrowUp"], does: "Ten pixels up", run: () => nudge(0, -10) },
    { group: region, keys: ["Shift+ArrowDown"], does: "Ten pixels down", run: () => nudge(0, 10) },
    { group: region, keys: ["+", "="], show: "+", does: "Wider and flatter, same area", run: () => reshape(1.1) },
    { group: region, keys: ["-"], does: "Narrower and taller, same area", run: () => reshape(1 / 1.1) },
    { group: region, keys: ["["], does: "Turn to the left", run: () => rotate(-5) },
    { group: region, keys: ["]"], does: "Turn to the right", run: () => rotate(5) },
    { group: region, keys: ["u"], does: "Undo: back to the position before", run: undo },
    { group: images, keys: ["PageUp"], does: "Slice before", run: () => viewer.scroll(-1) },
    { group: images, keys: ["PageDown"], does: "Next slice", run: () => viewer.scroll(1) },
    { group: images, keys: ["Home"], does: "First slice", run: () => viewer.set({ slice: 0 }) },
    { group: images, keys: ["End"], does: "Last slice", run: () => viewer.set({ slice: viewer.geometry.slices - 1 }) },
    { group: images, keys: ["z"], does: "Enlarge", run: () => viewer.zoomBy(1.25) },
    { group: images, keys: ["y"], does: "Reduce", run: () => viewer.zoomBy(1 / 1.25) },
    { group: images, keys: ["i"], does: "Invert", run: () => viewer.set({ invert: !viewer.state.invert }) },
    { group: images, keys: ["x"], does: "Smooth or exact pixels", run: () => viewer.set({ smooth: !viewer.state.smooth }) },
    { group: images, keys: ["r"], does: "Reset window, zoom and pan", run: () => viewer.reset() },
    { group: "Page", keys: ["?"], does: "This help", run: help },
  ];
}
