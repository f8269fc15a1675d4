/* Answers in words, as the protocol says them. */

const SIDES = { left: "Left", right: "Right" };

/** "1 obviously inferior" and "obviously inferior" both give the wording alone, capitalised. */
export function wording(anchor, value) {
  const text = String(anchor).replace(new RegExp(`^\\s*${value}\\s*[:.–-]?\\s*`), "");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** "A, C, B": the images of a ranking, best first. */
export function bestFirst(ranks, labels) {
  return labels
    .map((label, index) => ({ label, rank: ranks[index] }))
    .filter(({ rank }) => rank)
    .sort((a, b) => a.rank - b.rank)
    .map(({ label }) => label)
    .join(", ");
}

/** A function that says an answer ({value, cannot_assess}) of an item in words. */
export function describer({ mode, panes }) {
  const labels = panes.map(({ label }) => label);
  return ({ value = null, cannot_assess: cannot = "" }, criterion) => {
    if (cannot) return `cannot assess (${cannot})`;
    if (value === null) return "no answer";
    if (mode === "choice") return SIDES[value] ?? String(value);
    if (mode === "ranking") return bestFirst(value, labels);
    const anchor = criterion.anchors[value - 1];
    return anchor ? `${value} – ${wording(anchor, value)}` : String(value);
  };
}
