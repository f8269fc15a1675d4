/*
 * The upload page: a folder, files or a zip, sent in resumable pieces (tus), then read by the
 * server's worker. What the bars show is true: bytes that the server has confirmed, then files
 * that the worker has read.
 */
import * as tus from "tus-js-client";
import { csrfToken, getJson, postJson } from "./http.js";
import { element } from "./upload/elements.js";
import { chosenFiles, droppedFiles } from "./upload/files.js";

const PIECE = 8 * 1024 * 1024;
const AT_ONCE = 4;
const POLL_MS = 700;
const OVER = new Set(["done", "failed", "cancelled"]);

const root = document.querySelector("#upload");
if (root) start(root);

function start(host) {
  const arms = JSON.parse(host.dataset.arms);
  const volunteers = JSON.parse(host.dataset.volunteers);
  const page = form(host, volunteers, arms);
  page.send.addEventListener("click", () => {
    const files = page.take();
    if (files.length === 0) {
      page.say("Choose a zip, files or a folder first.");
      return;
    }
    const batch = new Batch(files, {
      urls: host.dataset,
      volunteer: page.volunteer.value.trim(),
      arm: page.arm.value,
    });
    page.batches.prepend(batch.row);
    batch.run();
  });
}

function form(host, volunteers, arms) {
  const picker = element("input", { type: "file", multiple: true, id: "upload-files", class: "visually-hidden" });
  const folder = element("input", { type: "file", webkitdirectory: true, id: "upload-folder", class: "visually-hidden" });
  const drop = element("div", { class: "upload-drop" }, [
    element("p", {}, ["Drag a zip, files or a folder here, or choose:"]),
    element("div", { class: "row" }, [
      picker,
      element("label", { class: "btn", for: "upload-files" }, ["Zip or files …"]),
      folder,
      element("label", { class: "btn", for: "upload-folder" }, ["Folder …"]),
    ]),
    element("p", { class: "muted", role: "status", "data-chosen": "" }, ["Nothing chosen yet."]),
  ]);
  const chosen = drop.querySelector("[data-chosen]");
  const list = element("datalist", { id: "upload-volunteers" }, volunteers.map((code) => element("option", { value: code })));
  const volunteer = element("input", { type: "text", id: "upload-volunteer", list: "upload-volunteers", maxlength: "30", autocomplete: "off", placeholder: "from the folders" });
  const arm = element("select", { id: "upload-arm" }, [
    element("option", { value: "" }, ["from the folders"]),
    ...arms.map(({ code, name }) => element("option", { value: code }, [`${name} (${code})`])),
  ]);
  const send = element("button", { type: "button", class: "btn btn-primary" }, ["Send"]);
  const batches = element("ul", { class: "list upload-batches", "aria-label": "Uploads of this visit" });
  let files = [];

  const keep = (next) => {
    files = next;
    const bytes = files.reduce((sum, { file }) => sum + file.size, 0);
    const count = files.length === 1 ? files[0].name : `${files.length} files`;
    chosen.textContent = files.length ? `${count}, ${megabytes(bytes)}` : "Nothing chosen yet.";
  };
  for (const input of [picker, folder]) {
    input.addEventListener("change", () => {
      keep(chosenFiles(input.files));
      input.value = "";
    });
  }
  drop.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("is-over");
  });
  drop.addEventListener("dragleave", () => drop.classList.remove("is-over"));
  drop.addEventListener("drop", async (event) => {
    event.preventDefault();
    drop.classList.remove("is-over");
    keep(await droppedFiles(event.dataTransfer));
  });
  host.append(
    drop,
    element("div", { class: "field-row" }, [
      element("div", { class: "field" }, [element("label", { for: "upload-volunteer" }, ["Volunteer"]), volunteer, list]),
      element("div", { class: "field" }, [element("label", { for: "upload-arm" }, ["Arm"]), arm]),
    ]),
    element("div", { class: "form-actions" }, [send]),
    batches,
  );
  return {
    volunteer,
    arm,
    send,
    batches,
    say: (text) => (chosen.textContent = text),
    take: () => {
      const taken = files;
      keep([]);
      return taken;
    },
  };
}

const megabytes = (bytes) => `${(bytes / 1024 / 1024).toFixed(1)} MB`;

/* Files sent together: sent piece by piece, paused, cancelled, then read as one. */
class Batch {
  constructor(files, { urls, volunteer, arm }) {
    this.files = files;
    this.urls = urls;
    this.metadata = { volunteer, arm, batch: crypto.randomUUID() };
    this.total = files.reduce((sum, { file }) => sum + file.size, 0);
    this.sent = new Map();
    this.active = new Set();
    this.waiting = [...files];
    this.paused = false;
    this.stopped = false;
    this.draw();
  }

  draw() {
    const name = this.files.length === 1 ? this.files[0].name : `${this.files.length} files`;
    this.bar = element("progress", { class: "progress", max: "1", value: "0", "aria-label": `Progress of ${name}` });
    this.text = element("span", { role: "status" }, ["Waiting"]);
    this.pause = element("button", { type: "button", class: "btn btn-small" }, ["Pause"]);
    this.cancel = element("button", { type: "button", class: "btn btn-small btn-quiet" }, ["Cancel"]);
    this.refusals = element("ul", { class: "small" });
    this.row = element("li", { class: "stack-s", "data-state": "sending" }, [
      element("div", { class: "spread" }, [
        element("span", { class: "strong" }, [name]),
        element("span", { class: "row" }, [this.pause, this.cancel]),
      ]),
      element("div", { class: "progress-line" }, [this.bar, this.text]),
      this.refusals,
    ]);
    this.pause.addEventListener("click", () => (this.paused ? this.resume() : this.hold()));
    this.cancel.addEventListener("click", () => this.abandon());
  }

  show(state, text, done = null, total = null) {
    this.row.dataset.state = state;
    this.text.textContent = text;
    if (total) {
      this.bar.max = total;
      this.bar.value = done;
    }
    const sending = state === "sending";
    this.pause.hidden = this.cancel.hidden = !sending;
    this.bar.classList.toggle("progress-ok", state === "done");
    this.bar.classList.toggle("progress-bad", state === "failed");
  }

  run() {
    while (!this.paused && !this.stopped && this.active.size < AT_ONCE && this.waiting.length > 0) {
      this.send(this.waiting.shift());
    }
    if (!this.stopped && this.waiting.length === 0 && this.active.size === 0) this.finish();
  }

  send({ file, name }) {
    const upload = new tus.Upload(file, {
      endpoint: this.urls.tusUrl,
      chunkSize: PIECE,
      retryDelays: [0, 1000, 3000, 10000],
      removeFingerprintOnSuccess: true,
      storeFingerprintForResuming: false,
      metadata: { filename: name, ...this.metadata },
      headers: { "X-CSRFToken": csrfToken() },
      onShouldRetry: (error) => {
        const status = error.originalResponse?.getStatus() ?? 0;
        return status === 0 || status >= 500 || status === 409 || status === 423;
      },
      // Only what the server has confirmed counts as sent.
      onChunkComplete: (_size, accepted) => {
        this.sent.set(file, accepted);
        this.showSent();
      },
      onSuccess: () => {
        this.sent.set(file, file.size);
        this.active.delete(upload);
        this.showSent();
        this.run();
      },
      onError: (error) => this.fail(error.originalResponse?.getBody() || "The connection was lost. Send it again."),
    });
    this.active.add(upload);
    upload.start();
  }

  showSent() {
    if (this.stopped) return;
    const bytes = [...this.sent.values()].reduce((sum, value) => sum + value, 0);
    this.show("sending", `${this.paused ? "Paused" : "Sending"}: ${megabytes(bytes)} of ${megabytes(this.total)}`, bytes, this.total || 1);
  }

  hold() {
    this.paused = true;
    this.pause.textContent = "Go on";
    for (const upload of this.active) upload.abort();
    this.showSent();
  }

  resume() {
    this.paused = false;
    this.pause.textContent = "Pause";
    for (const upload of this.active) upload.start();
    this.run();
  }

  async abandon() {
    this.stopped = true;
    await Promise.allSettled([...this.active].map((upload) => upload.abort(true)));
    this.show("cancelled", "Cancelled: nothing was stored.", 0, 1);
  }

  fail(message) {
    this.stopped = true;
    for (const upload of this.active) upload.abort();
    this.show("failed", message, 1, 1);
  }

  async finish() {
    this.stopped = true;
    try {
      await postJson(this.urls.finishUrl, { batch: this.metadata.batch });
      await this.follow();
    } catch (error) {
      this.show("failed", error.message, 1, 1);
    }
  }

  /* The worker's own count, until every file of the batch is over. */
  async follow() {
    for (;;) {
      const { uploads } = await getJson(this.urls.statusUrl);
      const mine = uploads.filter(({ batch }) => batch === this.metadata.batch);
      const over = mine.length > 0 && mine.every(({ state }) => OVER.has(state));
      if (over) {
        this.showResult(mine);
        return;
      }
      const share = Math.max(0, ...mine.map(({ progress }) => progress ?? 0));
      const message = mine.map((one) => one.message).find(Boolean);
      this.show("reading", message || "Sent; waiting for the worker", share, 1);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  showResult(uploads) {
    const accepted = uploads.reduce((sum, one) => sum + (one.accepted ?? 0), 0);
    const refusals = uploads.flatMap((one) => one.refusals ?? []);
    const failed = uploads.find(({ state }) => state === "failed");
    if (failed) {
      this.show("failed", failed.message || "The files could not be read.", 1, 1);
    } else {
      const refused = refusals.length ? `, ${refusals.length} refused` : "";
      this.show("done", `Done: ${accepted} files taken${refused}. Reload the page to see the series.`, 1, 1);
    }
    this.refusals.replaceChildren(
      ...refusals.map(({ name, reason }) => element("li", {}, [element("span", { class: "strong" }, [name]), `: ${reason}`])),
    );
  }
}
