/* The upload page: pick or drop, send with pause and cancel, then follow the reading on the server. */
import { getJson } from "./http.js";
import { Batch, dropUpload } from "./upload/batch.js";
import { dropped, isZip, picked } from "./upload/files.js";

const POLL_MS = 1500;
const root = document.querySelector("#upload");
const urls = {
  tus: root.dataset.tusUrl,
  status: root.dataset.statusUrl,
  finish: root.dataset.finishUrl,
  places: root.dataset.placesUrl,
  inbox: root.dataset.inboxUrl,
};
const limits = { files: Number(root.dataset.maxFiles), bytes: Number(root.dataset.maxBytes) };
const running = new Set();
const rows = new Map(); // batch -> row

function element(tag, className = "", text = "", attributes = {}) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function size(bytes) {
  if (bytes < 1e6) return `${Math.ceil(bytes / 1e3)} kB`;
  if (bytes < 1e9) return `${(bytes / 1e6).toFixed(1)} MB`;
  return `${(bytes / 1e9).toFixed(2)} GB`;
}

// --- The form ------------------------------------------------------------------------------------

function field(labelText, control, help) {
  const label = element("label", "field");
  label.append(element("span", "", labelText), control, element("span", "help", help));
  return label;
}

const volunteer = element("input", "", "", { list: "upload-volunteers", autocomplete: "off", maxlength: "50" });
const known = element("datalist", "", "", { id: "upload-volunteers" });
for (const code of JSON.parse(root.dataset.volunteers || "[]")) {
  known.append(element("option", "", "", { value: code }));
}
const arm = element("select");
arm.append(element("option", "", "From the folder names", { value: "" }));
for (const { code, name } of JSON.parse(root.dataset.arms || "[]")) {
  arm.append(element("option", "", name, { value: code }));
}
const site = element("select");
const sites = JSON.parse(root.dataset.sites || "[]");
site.append(element("option", "", "Of volunteers that are known", { value: "" }));
for (const { code, name } of sites) site.append(element("option", "", name, { value: code }));
const places = element("div", "field-row");
if (sites.length) places.append(field("Site", site, "Where new volunteers were scanned"));
places.append(
  field("Volunteer", volunteer, "A study code; empty: from the folder names"),
  known,
  field("Arm", arm, "Derived arms are made here, not sent"),
);

const mapping = element("input", "", "", { type: "file", accept: ".csv,text/csv" });
const pattern = element("input", "", "", { autocomplete: "off", maxlength: "200", placeholder: "{volunteer}/*{arm}*" });
const many = element("details", "more");
const manyFields = element("div", "field-row");
manyFields.append(
  field("Mapping file", mapping, "CSV, one folder a line"),
  field("Or a pattern of folders", pattern, "Codes in braces, * for anything"),
);
many.append(
  element("summary", "", "Many people from one folder tree"),
  manyFields,
  element("p", "small muted", "The first line of a mapping file is path,volunteer,arm; a path is a folder or a pattern with *. In a pattern, {volunteer} and {arm} stand for the codes."),
);
const drop = element("div", "dropzone");
const files = element("input", "visually-hidden", "", { type: "file", multiple: "", tabindex: "-1", "aria-label": "Files or a zip" });
const folder = element("input", "visually-hidden", "", { type: "file", webkitdirectory: "", tabindex: "-1", "aria-label": "A folder" });
const pickFiles = element("button", "btn btn-primary", "Choose files or a zip", { type: "button" });
const pickFolder = element("button", "btn", "Choose a folder", { type: "button" });
const buttons = element("div", "row");
buttons.append(pickFiles, pickFolder);
drop.append(element("p", "strong", "Drop a zip, files or a folder here"), buttons, files, folder);

const list = element("ul", "list upload-list", "", { "aria-label": "What is being sent", hidden: "" });
root.append(places, many, drop, list);

// --- Rows ---------------------------------------------------------------------------------------

function makeRow(name) {
  const item = element("li", "stack-s");
  const head = element("div", "spread");
  const title = element("span", "strong upload-name", name);
  const actions = element("span", "row");
  head.append(title, actions);
  const stages = element("div", "upload-stages");
  const bars = {};
  for (const [key, label] of Object.entries({ sent: "Sent", read: "Read", stored: "Stored" })) {
    const stage = element("label", "small muted", label);
    bars[key] = element("progress", "progress", "", { max: "1", value: "0", "aria-label": `${label}: ${name}` });
    stage.append(bars[key]);
    stages.append(stage);
  }
  const text = element("p", "small muted", "", { role: "status" });
  const refusals = element("ul", "small upload-refusals");
  item.append(head, stages, text, refusals);
  list.append(item);
  list.hidden = false;
  return { item, actions, bars, text, refusals };
}

function showBatch(batch) {
  const { actions, bars, text } = rows.get(batch);
  bars.sent.value = batch.total ? batch.sent / batch.total : 1;
  bars.sent.className = `progress${batch.state === "failed" ? " progress-bad" : ""}`;
  const progress = `${size(batch.sent)} of ${size(batch.total)}`;
  text.textContent = {
    sending: `Sending: ${progress}`,
    paused: `Paused: ${progress}`,
    finishing: "Sent. Handing over to the worker…",
    sent: "Sent. Waiting for the worker…",
    failed: `Stopped. ${batch.error}`,
    cancelled: "Cancelled; nothing of it was kept.",
  }[batch.state];
  actions.replaceChildren();
  const add = (label, act, kind = "") => {
    const button = element("button", `btn btn-small ${kind}`, label, { type: "button" });
    button.addEventListener("click", act);
    actions.append(button);
  };
  if (batch.state === "sending") add("Pause", () => batch.pause());
  if (batch.state === "paused") add("Go on", () => batch.resume());
  if (batch.state === "failed" && !batch.excess) add("Try again", () => batch.resume());
  if (["sending", "paused", "failed"].includes(batch.state)) {
    add("Cancel", () => batch.cancel(), "btn-quiet");
  }
}

/** What the server's worker does with a batch: the worst state, the mean progress, all refusals. */
function showReading(batch, uploads) {
  const row = rows.get(batch);
  const states = uploads.map(({ state }) => state);
  const over = states.every((state) => ["done", "failed", "cancelled"].includes(state));
  const failed = states.includes("failed");
  const accepted = uploads.reduce((sum, one) => sum + one.accepted, 0);
  const refused = uploads.flatMap(({ refusals }) => refusals);
  const mean = (key) => uploads.reduce((sum, one) => sum + (one[key] ?? 0), 0) / uploads.length;
  row.bars.sent.value = 1;
  for (const key of ["read", "stored"]) {
    row.bars[key].value = mean(key);
    row.bars[key].className = `progress ${failed ? "progress-bad" : over ? "progress-ok" : ""}`;
  }
  const differs = [...new Set(uploads.flatMap((one) => one.differs ?? []))];
  const waiting = Math.max(...uploads.map((one) => one.waiting ?? 0));
  const message = uploads.find((one) => one.message)?.message ?? "";
  if (failed) row.text.textContent = message || "The files could not be read.";
  else if (over) {
    row.text.textContent =
      `Done: ${accepted} taken, ` +
      (waiting ? `${waiting} series in the inbox for you to place, ` : "") +
      (refused.length ? "some refused" : "none refused") +
      (differs.length ? "; not on the control’s grid, to be replaced:" : refused.length ? ":" : ".");
  } else row.text.textContent = message || "Waiting for the worker…";
  row.refusals.replaceChildren(
    ...differs.map((said) => element("li", "", said)),
    ...refused.map(({ name, reason }) => {
      const item = element("li");
      item.append(element("span", "strong", name), `: ${reason}`);
      return item;
    }),
  );
  if (over && !row.actions.children.length) {
    const again = element("button", "btn btn-small", "Show what is stored", { type: "button" });
    again.addEventListener("click", () => window.location.reload());
    row.actions.append(again);
    if (waiting && urls.inbox) {
      row.actions.append(element("a", "btn btn-small btn-primary", "Open the inbox", { href: urls.inbox }));
    }
  }
  return over;
}

async function follow(batch) {
  for (;;) {
    try {
      const { uploads } = await getJson(`${urls.status}?batch=${encodeURIComponent(batch.id)}`);
      const mine = uploads.filter((one) => one.batch === batch.id);
      if (mine.length && showReading(batch, mine)) return;
    } catch (error) {
      rows.get(batch).text.textContent = `Sent. The progress cannot be had now: ${error.message}`;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function byBatch(uploads) {
  const groups = new Map();
  for (const one of uploads) groups.set(one.batch, [...(groups.get(one.batch) ?? []), one]);
  return groups;
}

/** What was broken off by a reload or elsewhere: its bytes are kept for a day. */
function showUnfinished(id, mine) {
  const batch = { id, unfinished: true };
  const row = makeRow(mine.length === 1 ? mine[0].name : `${mine.length} files`);
  rows.set(batch, row);
  const [received, total] = ["received", "size"].map((key) => mine.reduce((sum, one) => sum + one[key], 0));
  row.bars.sent.value = total ? received / total : 0;
  // Of a folder only the files that were begun are known here: how many were to follow is not.
  const there = mine.length === 1 ? `${size(received)} of ${size(total)}` : `${size(received)} of ${mine.length} files or more`;
  row.text.textContent =
    `Not finished: ${there} arrived. Choose the same files again to go on where it stopped, or cancel.`;
  const cancel = element("button", "btn btn-small btn-quiet", "Cancel", { type: "button" });
  cancel.addEventListener("click", async () => {
    cancel.disabled = true;
    const ended = await Promise.allSettled(mine.map((one) => dropUpload(`${urls.tus}${one.id}/`)));
    const kept = ended.filter(({ status }) => status === "rejected").length;
    if (kept) cancel.disabled = false;
    else cancel.remove();
    row.text.textContent = kept
      ? `${kept} of ${mine.length} files could not be cancelled: try again.`
      : "Cancelled; nothing of it was kept.";
  });
  row.actions.append(cancel);
}

/** The row of a broken-off batch goes when its files are chosen again. */
function takeUp(batch) {
  for (const [other, row] of rows) {
    if (other.unfinished && other.id === batch.id) {
      row.item.remove();
      rows.delete(other);
    }
  }
}

/** What was being sent or read when the page was opened. */
async function pickUp() {
  const { uploads } = await getJson(urls.status);
  const stopped = uploads.filter(({ state }) => state === "receiving");
  for (const id of byBatch(stopped).keys()) {
    // The list holds the last uploads alone; a folder may be more.
    const whole = await getJson(`${urls.status}?batch=${encodeURIComponent(id)}`);
    showUnfinished(id, whole.uploads.filter((one) => one.batch === id && one.state === "receiving"));
  }
  const busy = uploads.filter(({ state }) => ["queued", "reading"].includes(state));
  for (const [id, mine] of byBatch(busy)) {
    const batch = { id };
    rows.set(batch, makeRow(mine.length === 1 ? mine[0].name : `${mine.length} files`));
    showReading(batch, mine);
    follow(batch);
  }
}

// --- Sending -----------------------------------------------------------------------------------

async function send(entries) {
  if (!entries.length) return;
  const target = { volunteer: volunteer.value.trim(), arm: arm.value };
  if (site.value) target.site = site.value;
  const found = { mapping: (await mapping.files[0]?.text()) ?? "", pattern: pattern.value.trim() };
  // A zip is read by itself; loose files that were picked together belong together.
  const loose = entries.filter((entry) => !isZip(entry));
  const sets = [...entries.filter(isZip).map((entry) => [entry]), ...(loose.length ? [loose] : [])];
  for (const set of sets) {
    const batch = new Batch(set, target, urls, found, limits);
    rows.set(batch, makeRow(batch.name));
    running.add(batch);
    batch.addEventListener("change", () => {
      showBatch(batch);
      if (batch.running) return;
      if (batch.state !== "failed") running.delete(batch);
      if (batch.state === "sent") follow(batch);
    });
    showBatch(batch);
    batch.start().then(() => takeUp(batch));
  }
}

pickFiles.addEventListener("click", () => files.click());
pickFolder.addEventListener("click", () => folder.click());
for (const input of [files, folder]) {
  input.addEventListener("change", () => {
    send(picked(input.files));
    input.value = "";
  });
}
for (const name of ["dragenter", "dragover"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("is-over");
  });
}
drop.addEventListener("dragleave", (event) => {
  if (!drop.contains(event.relatedTarget)) drop.classList.remove("is-over");
});
drop.addEventListener("drop", async (event) => {
  event.preventDefault();
  drop.classList.remove("is-over");
  send(await dropped(event.dataTransfer));
});
window.addEventListener("beforeunload", (event) => {
  if ([...running].some((batch) => batch.running)) event.preventDefault();
});

pickUp().catch(() => {}); // the page's own list shows them too
root.dataset.ready = "1";
