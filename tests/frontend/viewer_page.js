/* The viewer alone, in the hands of a test. */
import { bindKeys, fillHelp } from "/src/js/keys.js";
import { ReadingView } from "/src/js/viewer/view.js";

const view = new ReadingView(document.querySelector(".images"));
window.view = view;
window.heard = [];
window.scored = [];
for (const name of ["seen", "failed"]) {
  view.addEventListener(name, ({ detail }) => window.heard.push([name, detail]));
}
view.onMark((mark) => {
  window.mark = mark;
  view.setMarks([...view.marks, { ...mark, id: view.marks.length, label: String(view.marks.length + 1) }]);
});

let unbind = () => {};
window.open_case = async (name) => {
  const item = await (await fetch(`/case/${name}`)).json();
  const shown = await view.open(item);
  unbind();
  const score = { group: "Scores", keys: ["1", "2", "3", "4", "5"], does: "Score", run: (key) => window.scored.push(key) };
  const table = [score, ...view.keys()];
  unbind = bindKeys(table);
  fillHelp(document.querySelector("#key-help"), table, view.mouse(), view.hangings());
  return shown;
};
window.prefetch_cases = async (names) => {
  view.prefetch(await Promise.all(names.map(async (name) => (await fetch(`/case/${name}`)).json())));
};
const first = new URLSearchParams(window.location.search).get("case");
if (first) await window.open_case(first);
document.documentElement.dataset.ready = "1";
