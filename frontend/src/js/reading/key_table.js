/* The keys of the reading page. This one table answers the keys and prints the help. */

export function keyTable({ viewer, panel, submit, previous, help }) {
  const images = "Images";
  const scores = "Scores";
  const page = "Page";
  return [
    { group: scores, keys: ["1", "2", "3", "4", "5"], does: "Score the current criterion and go to the next", run: (key) => panel.score(Number(key)) },
    { group: scores, keys: ["ArrowLeft"], does: "One point lower (starts in the middle)", run: () => panel.nudge(-1) },
    { group: scores, keys: ["ArrowRight"], does: "One point higher (starts in the middle)", run: () => panel.nudge(1) },
    { group: scores, keys: ["j"], does: "Next criterion (as Tab)", run: () => panel.focus(Math.min(panel.current + 1, panel.groups.length - 1)) },
    { group: scores, keys: ["k"], does: "Criterion before (as Shift Tab)", run: () => panel.focus(panel.current - 1) },
    { group: page, keys: ["Enter", "n"], does: "Submit and go on", run: submit },
    { group: page, keys: ["p"], does: "Previous item", run: previous },
    { group: page, keys: ["?"], does: "This help", run: help },
    { group: images, keys: ["ArrowUp"], does: "Slice before", run: () => viewer.scroll(-1) },
    { group: images, keys: ["ArrowDown"], does: "Next slice", run: () => viewer.scroll(1) },
    { group: images, keys: ["Home"], does: "First slice", run: () => viewer.set({ slice: 0 }) },
    { group: images, keys: ["End"], does: "Last slice", run: () => viewer.set({ slice: viewer.geometry.slices - 1 }) },
    { group: images, keys: ["+", "="], show: "+", does: "Enlarge", run: () => viewer.zoomBy(1.2) },
    { group: images, keys: ["-"], does: "Reduce", run: () => viewer.zoomBy(1 / 1.2) },
    { group: images, keys: ["i"], does: "Invert", run: () => viewer.set({ invert: !viewer.state.invert }) },
    { group: images, keys: ["x"], does: "Smooth or exact pixels", run: () => viewer.set({ smooth: !viewer.state.smooth }) },
    { group: images, keys: ["r"], does: "Reset window, zoom and pan", run: () => viewer.reset() },
  ];
}
