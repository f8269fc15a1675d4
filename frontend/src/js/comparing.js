/* The coordinator's comparison: all arms of a volunteer, named, on the readers' own viewer. */
import { getJson } from "./http.js";
import { bindKeys, fillHelp } from "./keys.js";
import { ReadingView } from "./viewer/view.js";

const root = document.querySelector("#comparing");
const help = document.querySelector("#key-help");
const view = new ReadingView(root.querySelector("[data-images]"));
const trouble = root.querySelector("[data-trouble]");

function follow(name) {
  document.querySelector(`[data-${name}]`)?.click();
}

async function main() {
  let data;
  try {
    data = await getJson(root.dataset.url);
  } catch (error) {
    trouble.textContent = `The images could not be opened. ${error.message}`;
    trouble.hidden = false;
    return;
  }
  view.addEventListener("drawn", () => {
    root.dataset.view = JSON.stringify(view.state);
  });
  view.addEventListener("status", ({ detail }) => {
    root.dataset.complete = detail.complete ? "1" : "0";
  });
  await view.open({ ...data, mode: "ranking" });
  const table = [
    { group: "Page", keys: ["ArrowLeft"], does: "Volunteer before", run: () => follow("before") },
    { group: "Page", keys: ["ArrowRight"], does: "Next volunteer", run: () => follow("after") },
    { group: "Page", keys: ["?"], does: "This help", run: () => help.showModal() },
    ...view.keys(),
  ];
  bindKeys(table);
  fillHelp(help, table, view.mouse(), view.hangings());
  document.querySelector("[data-open-help]").addEventListener("click", () => help.showModal());
  root.dataset.ready = "1";
}

main();
