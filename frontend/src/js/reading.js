/* The reading page: images beside the criteria, one item after the other without a page load. */
import { bindKeys, fillHelp } from "./keys.js";
import { getJson, postJson } from "./http.js";
import { Autosave } from "./reading/autosave.js";
import { CriteriaPanel } from "./reading/criteria.js";
import { keyTable } from "./reading/key_table.js";
import { prefetch } from "./reading/prefetch.js";
import { Geometry } from "./viewer/geometry.js";
import { Overlay } from "./viewer/overlay.js";
import { loadAll, releaseSlices, sliceUrl } from "./viewer/pixels.js";
import { MOUSE, bindPointer } from "./viewer/pointer.js";
import { Viewer } from "./viewer/viewer.js";

const root = document.querySelector("#reading");
const find = (name) => root.querySelector(`[data-${name}]`) ?? document.querySelector(`[data-${name}]`);
const LABELS = { control: "Control", candidate: "Candidate" };

const viewer = new Viewer();
const panel = new CriteriaPanel(find("criteria"), find("question"));
const help = document.querySelector("#key-help");
const panes = [...root.querySelectorAll(".pane")].map((host) => {
  const canvas = host.querySelector(".pane-canvas");
  return { host, canvas, overlay: new Overlay(host, "") };
});

let item = null;
let autosave = null;
let loading = null; // AbortController of the pixels on their way
let failedSlices = [];
let visit = 0; // counts openings, so that a late answer of an item left behind is ignored

const urlsOf = ({ panes: list, geometry }) =>
  list.flatMap(({ slices }) => Array.from({ length: geometry.slices }, (_, i) => sliceUrl(slices, i)));

// --- Opening an item ----------------------------------------------------------------------------

async function open(dataUrl) {
  visit += 1;
  const mine = visit;
  root.dataset.ready = "0";
  root.dataset.loaded = "false";
  find("submit").disabled = true;
  say("");
  let data;
  try {
    data = await getJson(dataUrl);
  } catch (error) {
    if (mine === visit) say(`This item could not be opened. ${error.message}`, () => open(dataUrl));
    return;
  }
  if (mine !== visit) return;
  loading?.abort();
  failedSlices = [];
  if (item) releaseSlices(urlsOf(item).filter((url) => !urlsOf(data).includes(url)));
  item = data;
  showScores();
  showProgress();
  await showImages(mine);
}

function showScores() {
  autosave?.close();
  autosave = new Autosave(item);
  const shown = autosave;
  autosave.addEventListener("change", () => {
    if (shown !== autosave) return;
    panel.update();
    showSaveState();
  });
  panel.show(item.criteria, autosave);
  autosave.resume();
  panel.focus(panel.current);
  showSaveState();
}

function showProgress() {
  document.title = `Item ${item.position} of ${item.total} · ReaderStudy`;
  find("position").textContent = `Item ${item.position} of ${item.total}`;
  const bar = find("progress");
  bar.max = item.total;
  bar.value = item.submitted_count;
  find("submitted").textContent = `${item.submitted_count} submitted`;
  find("notice").textContent = item.notice;
  find("home").href = item.home;
  find("previous").disabled = !item.previous;
  find("submit").textContent = item.submitted ? "Go on" : "Submit and go on";
}

async function showImages(mine) {
  const geometry = new Geometry(item.geometry);
  const slice = Math.floor(geometry.slices / 2);
  const order = [...item.panes].sort((a, b) => (a.side === "left" ? 0 : 1) - (b.side === "left" ? 0 : 1));
  for (const [index, { role }] of order.entries()) {
    panes[index].overlay.label.textContent = LABELS[role];
    panes[index].canvas.setAttribute("aria-label", `${LABELS[role]} image`);
  }
  loading = new AbortController();
  const { signal } = loading;
  const all = loadAll(
    order.map(({ slices }) => slices),
    geometry,
    slice,
    { signal, onProgress: (...figures) => mine === visit && showLoading(...figures) },
  );
  await viewer.open({
    geometry,
    window: item.window,
    slice,
    panes: order.map(({ slices }, index) => ({ element: panes[index].canvas, slices })),
  });
  if (mine !== visit) return;
  const seen = viewer.panes.every(({ failed }) => !failed);
  if (seen) {
    root.dataset.ready = "1";
    document.documentElement.dataset.ready = "1";
  }
  failedSlices = await all;
  if (mine !== visit) return;
  root.dataset.loaded = String(failedSlices.length === 0 && seen);
  find("submit").disabled = failedSlices.length > 0 || !seen;
  if (failedSlices.length > 0) {
    say(`${failedSlices.length} slices could not be loaded; the item cannot be submitted unseen.`, () =>
      reload(mine),
    );
    return;
  }
  say("");
  viewer.draw();
  if (item.next) prefetch(item.next, signal);
}

async function reload(mine) {
  if (mine !== visit) return;
  say("Loading the missing slices…");
  await showImages(mine);
}

function showLoading(done, total, failed) {
  const bar = find("loading");
  bar.max = total;
  bar.value = done;
  find("loading-box").hidden = done === total;
  find("loading-text").textContent = `Loading ${done} of ${total} slices${
    failed.length ? `, ${failed.length} failed` : ""
  }`;
}

// --- Moving on ------------------------------------------------------------------------------------

async function go(url) {
  if (!(await autosave.settled())) {
    say("Some scores are not saved yet.", () => autosave.retry());
    return;
  }
  const page = await pageOf(url);
  if (!page) {
    window.location.assign(url);
    return;
  }
  window.history.pushState(null, "", url);
  await open(page);
}

/** The data address of an item page, or null if the address is another page (the end, a pause). */
async function pageOf(url) {
  try {
    const response = await fetch(url, { headers: { Accept: "text/html" } });
    if (!response.ok || response.redirected) return null;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    return page.querySelector("#reading")?.dataset.itemUrl ?? null;
  } catch {
    return null;
  }
}

async function submit() {
  if (find("submit").disabled) {
    if (root.dataset.loaded !== "true" && !failedSlices.length) say("The images are still loading.");
    return;
  }
  const missing = autosave.missing();
  if (missing.length) {
    say(missing.length === 1 ? "One score is missing." : `${missing.length} scores are missing.`);
    panel.demand(missing);
    return;
  }
  find("submit").disabled = true;
  try {
    if (!(await autosave.settled())) {
      say(`Not submitted: ${autosave.error()}`, () => autosave.retry());
      return;
    }
    // A submitted item needs no second submission: its changed scores are saved already.
    const { next, home } = item.submitted ? item : await postJson(item.submit_url, {});
    if (next) await go(next);
    else window.location.assign(home);
  } catch (error) {
    if (error.body?.missing?.length) panel.demand(error.body.missing);
    say(`Not submitted: ${error.message}`);
  } finally {
    if (root.dataset.loaded === "true") find("submit").disabled = false;
  }
}

// --- What the page says ------------------------------------------------------------------------

function say(text, again = null) {
  find("message").textContent = text;
  find("message-box").hidden = !text;
  const button = find("again");
  button.hidden = !again;
  button.onclick = again;
}

function showSaveState() {
  const state = autosave.state();
  const scored = item.criteria.length - autosave.missing().length;
  const texts = {
    empty: "Every choice is saved at once",
    saving: "Saving…",
    saved: `Saved: ${scored} of ${item.criteria.length} scores`,
    failed: `Not saved. ${autosave.error()} Kept in this browser.`,
  };
  const box = find("save-state");
  box.dataset.saveState = state;
  find("save-text").textContent = texts[state];
  find("retry").hidden = state !== "failed";
}

window.addEventListener("beforeunload", (event) => {
  if (autosave?.unsaved()) event.preventDefault();
});
window.addEventListener("popstate", async () => {
  const page = await pageOf(window.location.href);
  if (page) open(page);
  else window.location.reload();
});

// --- Wiring ----------------------------------------------------------------------------------------

viewer.addEventListener("drawn", () => {
  viewer.panes.forEach((pane, index) => panes[index].overlay.update(viewer, pane));
  const { slice, center, width, zoom, pan, invert } = viewer.state;
  root.dataset.view = JSON.stringify({ slice, center, width, zoom, pan, invert });
});
for (const { canvas } of panes) {
  bindPointer(viewer, (element) => viewer.panes.find((pane) => pane.element === element), canvas);
}
panel.addEventListener("finished", () => find("submit").focus());

const table = keyTable({
  viewer,
  panel,
  submit,
  previous: () => item?.previous && go(item.previous),
  help: () => help.showModal(),
});
bindKeys(table);
fillHelp(help, table, MOUSE);
find("open-help").addEventListener("click", () => help.showModal());
find("submit").addEventListener("click", submit);
find("retry").addEventListener("click", () => autosave.retry());
find("previous").addEventListener("click", () => item.previous && go(item.previous));

open(root.dataset.itemUrl);
