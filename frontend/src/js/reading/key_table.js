/* The scoring keys of the reading page, in one table with those of the images (view.keys()). */

const GIVES = {
  relative: "Score the current criterion and go to the next",
  absolute: "Score the current criterion and go to the next",
  choice: "1: left, 2: right; then the next criterion",
  ranking: "Give the first, second, … image the next rank, best first",
};
const STEPS = {
  relative: ["One point lower (starts in the middle)", "One point higher (starts in the middle)"],
  absolute: ["One point lower (starts in the middle)", "One point higher (starts in the middle)"],
  choice: ["The left image", "The right image"],
  ranking: ["To the image before", "To the next image"],
};

/*
 * The page moves the focus to the first point of the next criterion by itself. Space, which scrolls
 * pages and would choose that point, therefore chooses nothing on a scale: the arrows choose. Images
 * to rank are buttons: there Space, as Enter, presses the one in focus, and a rank can be taken back.
 */
const SPACE = {
  relative: "Gives no score: digits, ← → or the mouse do",
  absolute: "Gives no score: digits, ← → or the mouse do",
  choice: "Chooses nothing: digits, ← → or the mouse do",
  ranking: "Rank the image in focus, or take its rank back (as Enter)",
};

/** How many digits answer something in this mode. */
function digitsOf({ mode, criteria, panes }) {
  if (mode === "choice") return 2;
  if (mode === "ranking") return Math.min(panes.length, 9);
  return Math.max(...criteria.map(({ anchors }) => anchors.length));
}

/** `hint(text)` says something for a moment. */
export function scoringKeys(item, { panel, submit, previous, comment, help, hint }) {
  const { mode } = item;
  const digits = Array.from({ length: digitsOf(item) }, (_, index) => String(index + 1));
  const scores = "Scores";
  const page = "Page";
  const [lower, higher] = STEPS[mode];
  return [
    { group: scores, keys: digits, does: GIVES[mode], run: (key) => panel.digit(Number(key)) },
    { group: scores, keys: ["ArrowLeft"], does: lower, run: () => panel.step(-1) },
    { group: scores, keys: ["ArrowRight"], does: higher, run: () => panel.step(1) },
    ...(mode === "ranking"
      ? [{ group: scores, keys: ["Backspace"], does: "Take the last rank back", run: () => panel.takeBack() }]
      : []),
    { group: scores, keys: ["Space"], does: SPACE[mode], run: () => mode !== "ranking" && hint(`Space: ${SPACE[mode].toLowerCase()}`) },
    { group: scores, keys: ["0"], does: "The current criterion cannot be assessed", run: () => panel.cannot() },
    { group: scores, keys: ["j"], does: "Next criterion (as Tab)", run: () => panel.next() },
    { group: scores, keys: ["k"], does: "Criterion before (as Shift Tab)", run: () => panel.before() },
    { group: scores, keys: ["g"], does: "Comment (Escape closes it)", run: comment },
    { group: page, keys: ["Enter", "n"], does: "Submit and go on", run: submit },
    ...(item.may_go_back ? [{ group: page, keys: ["p"], does: "Item before", run: previous }] : []),
    { group: page, keys: ["?"], does: "This help", run: help },
  ];
}
