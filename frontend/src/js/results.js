/*
 * The results pages: a digit leads to each page, a warning's words and a cell's digits are shown
 * where one points or focuses, and the page's figure is drawn.
 */
import { bindKeys, fillHelp } from "./keys.js";
import { draw } from "./results/chart.js";
import { Tip } from "./results/tip.js";

const help = document.querySelector("#key-help");
const tip = new Tip(document.querySelector("#content"));

function follow(selector) {
  document.querySelector(selector)?.click();
}

const pages = [...document.querySelectorAll(".results-nav [data-key]")];
const table = [
  ...pages.map((link) => ({
    group: "Pages",
    keys: [link.dataset.key],
    does: link.firstChild.textContent.trim(),
    run: () => link.click(),
  })),
  { group: "Lists", keys: ["["], does: "Page before", run: () => follow("[data-before]") },
  { group: "Lists", keys: ["]"], does: "Next page", run: () => follow("[data-after]") },
  { group: "Help", keys: ["?"], does: "This help", run: () => help.showModal() },
];
const pointing = [
  { mark: "← →", does: "Next mark of a focused figure", group: "Figures" },
  { mark: "Home End", does: "First or last mark", group: "Figures" },
  { mark: "Point or focus", does: "Every digit of a number, the words of a warning" },
];
bindKeys(table);
fillHelp(help, table, pointing);
document.querySelector("[data-open-help]")?.addEventListener("click", () => help.showModal());

// What stands in a title is shown on focus too, at once, and can be read by touch.
for (const element of document.querySelectorAll("#content [title]")) tip.takeTitle(element);

const host = document.querySelector("#chart");
if (host) {
  const spec = JSON.parse(document.querySelector("#chart-spec").textContent);
  draw(host, spec, tip, host.dataset.name);
}
