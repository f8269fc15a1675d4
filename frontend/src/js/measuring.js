/* The measuring page: regions are placed on the control and measured on the server in every arm. */
import { getJson } from "./http.js";
import { bindKeys, fillHelp } from "./keys.js";
import { Ellipses, contains } from "./measuring/ellipses.js";
import { keyTable } from "./measuring/key_table.js";
import { TissueList, fillTable, warningsOf } from "./measuring/panel.js";
import { Regions } from "./measuring/regions.js";
import { Geometry } from "./viewer/geometry.js";
import { Overlay } from "./viewer/overlay.js";
import { MOUSE, bindPointer } from "./viewer/pointer.js";
import { Viewer } from "./viewer/viewer.js";

const GRAB_MARGIN_MM = 1.5;
const ASPECT_RANGE = [1 / 4, 4];
const root = document.querySelector("#measuring");
const find = (name) => document.querySelector(`[data-${name}]`);
const help = document.querySelector("#key-help");
const viewer = new Viewer();

let data = null;
let geometry = null;
let regions = null;
let list = null;
let panes = []; // {arm, host, canvas, overlay, ellipses}
let selected = null;
let suggestions = new Map(); // tissue -> where a former volunteer's region would lie

/* What is drawn: the placed regions and, dashed, what is suggested for the others. */
const drawn = {
  get tissues() {
    return regions.tissues;
  },
  get: (tissue) => regions.get(tissue) ?? suggestions.get(tissue),
};

const tissueOf = (code) => data.tissues.find((tissue) => tissue.code === code);

// --- Placing ------------------------------------------------------------------------------------

function select(index) {
  const tissue = data.tissues[index];
  if (!tissue) return;
  selected = tissue.code;
  const slice = drawn.get(selected)?.slice_index ?? tissue.suggested_slice ?? viewer.state.slice;
  if (slice !== viewer.state.slice) viewer.set({ slice });
  else viewer.draw();
  list.items[index].radio.focus({ preventScroll: true });
  show();
}

/** The region of the chosen tissue moved to a pixel position of the shown slice. */
function placeAt(position, options) {
  if (!selected || data.locked) return;
  const radius = Math.sqrt(tissueOf(selected).area_mm2 / Math.PI);
  const region = regions.get(selected);
  const semiAxes = region?.semi_axes_mm ?? [radius, radius];
  // The whole region stays on the image, however it is turned.
  const reach = Math.max(...semiAxes);
  const inside = (value, count, spacing) => {
    const margin = reach / spacing;
    return Math.min(count - 1 - margin, Math.max(margin, value));
  };
  regions.place(
    selected,
    {
      slice_index: viewer.state.slice,
      centre: geometry.toPatient({
        column: inside(position.column, geometry.columns, geometry.columnSpacing),
        row: inside(position.row, geometry.rows, geometry.rowSpacing),
        slice: viewer.state.slice,
      }),
      semi_axes_mm: semiAxes,
      angle_deg: region?.angle_deg ?? 0,
    },
    options,
  );
}

function placeHere() {
  const region = selected && regions.get(selected);
  const suggested = selected && !region && suggestions.get(selected);
  if (suggested && suggested.slice_index === viewer.state.slice && !data.locked) {
    const { slice_index, centre, semi_axes_mm, angle_deg } = suggested;
    regions.place(selected, { slice_index, centre, semi_axes_mm, angle_deg }, { now: true });
    return;
  }
  const [control] = viewer.panes;
  const { clientWidth, clientHeight } = control.element;
  const middle = viewer.toImage(control, [clientWidth / 2, clientHeight / 2]);
  placeAt(region ? geometry.toPixel(region.centre) : middle, { now: true });
}

/** Changes to a placed region that is in view. */
function change(make) {
  const region = selected && regions.get(selected);
  if (!region || data.locked) return;
  if (region.slice_index !== viewer.state.slice) {
    viewer.set({ slice: region.slice_index }); // nothing moves unseen
    return;
  }
  make(region);
}

const nudge = (columns, rows) =>
  change((region) => {
    const { column, row } = geometry.toPixel(region.centre);
    placeAt({ column: column + columns, row: row + rows });
  });

const reshape = (factor) =>
  change((region) => {
    const [a, b] = region.semi_axes_mm;
    const [low, high] = ASPECT_RANGE;
    const aspect = Math.min(high, Math.max(low, (a / b) * factor ** 2));
    const product = a * b;
    const semi_axes_mm = [Math.sqrt(product * aspect), Math.sqrt(product / aspect)];
    regions.place(selected, { semi_axes_mm });
  });

const rotate = (degrees) =>
  change((region) => {
    const turned = region.angle_deg + degrees;
    regions.place(selected, { angle_deg: ((turned + 90 + 360) % 180) - 90 });
  });

/** Ask where the regions of a former volunteer would lie on this one. */
async function suggest() {
  const from = find("template").value;
  try {
    const { regions: found } = await getJson(`${data.suggest_url}?from=${encodeURIComponent(from)}`);
    suggestions = new Map(found.map((one) => [one.tissue, { ...one, state: "suggested" }]));
    select(data.tissues.findIndex(({ code }) => code === selected));
  } catch (error) {
    find("error").textContent = error.message;
    find("error-box").hidden = false;
  }
}

const undo = () => {
  if (!selected) return;
  regions.undo(selected);
  const region = regions.get(selected);
  if (region) viewer.set({ slice: region.slice_index });
};

/** Position on the control image under the mouse. */
function under(event) {
  const [control] = viewer.panes;
  const box = control.element.getBoundingClientRect();
  return viewer.toImage(control, [event.clientX - box.left, event.clientY - box.top]);
}

/** A press on a region chooses it and drags it. */
function grab(event) {
  if (event.button !== 0 || data.locked) return false;
  const from = under(event);
  const here = [...regions.byTissue.values()].filter(
    (region) =>
      region.slice_index === viewer.state.slice &&
      contains(region, geometry, from, GRAB_MARGIN_MM),
  );
  const region = here.find(({ tissue }) => tissue === selected) ?? here[0];
  if (!region) return false;
  event.preventDefault();
  const canvas = event.currentTarget;
  if (region.tissue !== selected) {
    select(data.tissues.findIndex(({ code }) => code === region.tissue));
  }
  const start = geometry.toPixel(region.centre);
  let moved = false;
  const move = (moving) => {
    const now = under(moving);
    if (!moved && Math.hypot(now.column - from.column, now.row - from.row) < 0.5) return;
    moved = true;
    placeAt({
      column: start.column + now.column - from.column,
      row: start.row + now.row - from.row,
    });
  };
  canvas.setPointerCapture(event.pointerId);
  canvas.addEventListener("pointermove", move);
  canvas.addEventListener(
    "lostpointercapture",
    () => canvas.removeEventListener("pointermove", move),
    { once: true },
  );
  return true;
}

// --- Showing ---------------------------------------------------------------------------------------

function show() {
  const region = regions.get(selected);
  list.update(regions, selected);
  if (data.shows_figures) fillTable(find("table"), data.arms, tissueOf(selected), region);
  find("rule").textContent = ruleText(region);
  find("warnings").replaceChildren(
    ...warningsOf(region, data.arms).map((text) => {
      const item = document.createElement("li");
      item.textContent = text;
      return item;
    }),
  );
  find("area").textContent = region
    ? `${(Math.PI * region.semi_axes_mm[0] * region.semi_axes_mm[1]).toFixed(1)} mm², ` +
      `${region.semi_axes_mm.map((length) => (2 * length).toFixed(1)).join(" × ")} mm` +
      (region.measurements.length ? `, ${region.measurements[0].n_pixels} pixels` : "")
    : "";
  const error = regions.error();
  const failed = [...regions.byTissue.values()].some(({ state }) => state === "failed");
  find("error").textContent = error;
  find("error-box").hidden = !error;
  find("retry").hidden = !failed;
  find("placed").textContent = `${regions.placed()} of ${data.tissues.length} regions placed`;
  find("save-text").textContent = regions.unsaved() ? "Saving…" : "All regions saved";
  find("save-state").dataset.saveState = failed ? "failed" : regions.unsaved() ? "saving" : "saved";
  if (failed) find("save-text").textContent = "Not saved";
  for (const button of document.querySelectorAll("[data-change]")) {
    button.disabled = data.locked || !region;
  }
  find("place").disabled = data.locked;
  find("undo").disabled = data.locked || !region?.past.length;
  const freeze = find("freeze");
  if (freeze) freeze.disabled = regions.placed() < data.tissues.length || regions.unsaved();
  drawEllipses();
}

function ruleText(region) {
  const tissue = tissueOf(selected);
  if (!tissue || region) return "";
  if (suggestions.has(selected)) return "Dashed: suggested. Enter takes it, a click places it elsewhere.";
  if (tissue.suggested_slice === null || tissue.suggested_slice === undefined) return "";
  return `${tissue.rule}: slice ${tissue.suggested_slice + 1} is suggested.`;
}

function drawEllipses() {
  viewer.panes.forEach((pane, index) =>
    panes[index].ellipses.update(viewer, pane, drawn, selected),
  );
}

function makePane(arm) {
  const host = document.createElement("div");
  host.className = "pane";
  const canvas = document.createElement("div");
  canvas.className = "pane-canvas";
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${arm.name} image`);
  host.append(canvas);
  find(arm.is_control ? "control" : "others").append(host);
  const ellipses = new Ellipses(host, { labels: arm.is_control });
  const overlay = new Overlay(host, arm.name);
  if (!arm.is_control) overlay.root.classList.add("is-small");
  return { arm, host, canvas, ellipses, overlay };
}

function showVolunteers() {
  const index = data.volunteers.findIndex(({ code }) => code === data.volunteer);
  for (const [name, step] of [
    ["before", -1],
    ["after", 1],
  ]) {
    const other = data.volunteers[index + step];
    const link = find(name);
    link.hidden = !other;
    if (other) {
      link.href = other.url;
      link.textContent = name === "before" ? `‹ ${other.code}` : `${other.code} ›`;
    }
  }
}

async function main() {
  try {
    data = await getJson(root.dataset.url);
  } catch (error) {
    find("error").textContent = `This volunteer could not be opened. ${error.message}`;
    find("error-box").hidden = false;
    return;
  }
  geometry = new Geometry(data.geometry);
  regions = new Regions(root.dataset.url, data);
  const arms = [...data.arms].sort((a, b) => Number(b.is_control) - Number(a.is_control));
  panes = arms.map(makePane);
  find("others").classList.toggle("is-empty", arms.length < 2);
  list = new TissueList(find("tissues"), data.tissues, select);
  find("notice").textContent = data.notice;
  find("locked").hidden = !data.locked;
  find("shape").hidden = data.locked;
  find("figures").hidden = !data.shows_figures;
  find("how").hidden = data.locked;
  showVolunteers();

  viewer.addEventListener("drawn", () => {
    viewer.panes.forEach((pane, index) => panes[index].overlay.update(viewer, pane));
    root.dataset.view = JSON.stringify(viewer.state);
    drawEllipses();
  });
  const paneOf = (element) => viewer.panes.find((pane) => pane.element === element);
  panes.forEach(({ canvas, arm }) =>
    bindPointer(viewer, paneOf, canvas, arm.is_control
      ? { before: grab, tap: (event) => placeAt(under(event), { now: true }) }
      : {}),
  );
  regions.addEventListener("change", show);
  window.addEventListener("beforeunload", (event) => {
    if (regions.unsaved()) event.preventDefault();
  });

  const first = data.tissues.findIndex(({ code }) => !regions.get(code));
  selected = data.tissues[Math.max(first, 0)]?.code ?? null;
  const slice = regions.get(selected)?.slice_index ?? tissueOf(selected)?.suggested_slice ?? Math.floor(geometry.slices / 2);
  const acts = {
    nudge,
    reshape,
    rotate,
    placeHere,
    undo,
    select,
    viewer,
    tissues: data.tissues,
    help: () => help.showModal(),
  };
  const table = keyTable(acts);
  const mouse = [
    { mark: "Click", does: "Place the chosen tissue's region" },
    { mark: "Drag a region", does: "Move it" },
    ...MOUSE.filter(({ reading }) => !reading),
    { mark: "One finger", does: "Slice" },
  ];
  fillHelp(help, table, mouse);
  find("open-help").addEventListener("click", acts.help);
  find("place").addEventListener("click", placeHere);
  find("undo").addEventListener("click", undo);
  find("wider").addEventListener("click", () => reshape(1.1));
  find("taller").addEventListener("click", () => reshape(1 / 1.1));
  find("turn-left").addEventListener("click", () => rotate(-5));
  find("turn-right").addEventListener("click", () => rotate(5));
  find("suggest")?.addEventListener("click", suggest);
  find("retry").addEventListener("click", () => regions.retry());

  viewer.store.addEventListener("change", ({ detail }) => showLoading(detail));
  await viewer.open({
    geometry,
    window: data.window,
    slice,
    panes: arms.map(({ slices }, index) => ({ element: panes[index].canvas, slices })),
  });
  bindKeys(table);
  show();
  root.dataset.ready = "1";
  document.documentElement.dataset.ready = "1";
}

function showLoading({ loaded, failed, slow, total }) {
  find("loading").max = total;
  find("loading").value = loaded.size;
  find("loading-text").textContent = slow.size
    ? `The images are slow to come: ${loaded.size} of ${total} slices so far. They are asked for again by themselves.`
    : `Loading ${loaded.size} of ${total} slices`;
  find("loading-box").hidden = loaded.size + failed.size === total;
  if (loaded.size + failed.size < total || !failed.size) return;
  find("error").textContent = `${failed.size} slices could not be loaded. Please reload the page.`;
  find("error-box").hidden = false;
}

main();
