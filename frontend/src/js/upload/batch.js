/*
 * Files sent together. Each goes over tus 1.0 in pieces; a batch that was broken off (a reload, a
 * lost network) goes on where it stopped when the same files are picked again.
 *
 * Emits "change". States: sending, paused, finishing, sent, failed, cancelled.
 */
import { Upload } from "tus-js-client";
import { csrfToken, postJson } from "../http.js";

const PIECE = 8 * 1024 * 1024;
const AT_ONCE = 4;
const RETRY_MS = [0, 1000, 3000, 5000, 10000, 20000];
const STORE = "readerstudy.upload.";
const KEPT_MS = 2 * 24 * 3600 * 1000; // the server keeps what is not finished for a day
const SETTLE_MS = 300;

/** What tus needs to remember of one batch, under one key, so that it can be forgotten as one. */
class Memory {
  constructor(batch) {
    this.key = STORE + batch;
    this.idsKey = `${this.key}.ids`;
    this.aboutKey = `${this.key}.about`;
  }

  /**
   * A name for each upload, the same after a lost answer and after a reload: asked again to make
   * room for it, the server finds what it made the first time.
   */
  ids(fingerprints) {
    const known = JSON.parse(localStorage.getItem(this.idsKey) ?? "{}");
    for (const fingerprint of fingerprints) known[fingerprint] ??= uuid();
    localStorage.setItem(this.idsKey, JSON.stringify(known));
    return known;
  }

  all() {
    return JSON.parse(localStorage.getItem(this.key) ?? "{}");
  }

  async findAllUploads() {
    return Object.values(this.all());
  }

  async findUploadsByFingerprint(fingerprint) {
    const found = this.all()[fingerprint];
    return found ? [found] : [];
  }

  async addUpload(fingerprint, upload) {
    const entry = { ...upload, urlStorageKey: fingerprint };
    localStorage.setItem(this.key, JSON.stringify({ ...this.all(), [fingerprint]: entry }));
    return fingerprint;
  }

  async removeUpload(fingerprint) {
    const rest = this.all();
    delete rest[fingerprint];
    localStorage.setItem(this.key, JSON.stringify(rest));
  }

  /** What the whole batch is: after a reload the server knows no more than what was begun of it. */
  get about() {
    return JSON.parse(localStorage.getItem(this.aboutKey) ?? "null");
  }

  set about(about) {
    localStorage.setItem(this.aboutKey, JSON.stringify(about));
  }

  forget() {
    const about = this.about;
    if (about) localStorage.removeItem(about.idKey);
    for (const key of [this.key, this.idsKey, this.aboutKey]) localStorage.removeItem(key);
  }
}

/** The name, number of files and bytes of a batch that this browser began, or null. */
export const remembered = (batch) => new Memory(batch).about;

export const forgetBatch = (batch) => new Memory(batch).forget();

/** What was begun so long ago that the server has deleted it. */
export function forgetOld() {
  for (const key of Object.keys(localStorage)) {
    if (!key.startsWith(STORE) || !key.endsWith(".about")) continue;
    const memory = new Memory(key.slice(STORE.length, -".about".length));
    if (Date.now() - memory.about.at > KEPT_MS) memory.forget();
  }
}

const mark = ({ file, path }) => `${path}|${file.size}|${file.lastModified}`;

/** The same files for the same place are the same batch, also after a reload. */
async function batchId(files, target) {
  const text = JSON.stringify([target, files.map(mark).sort()]);
  const bytes = new TextEncoder().encode(text);
  const key = `${STORE}id.${await digest(bytes)}`;
  let id = localStorage.getItem(key);
  if (!id) {
    id = uuid();
    localStorage.setItem(key, id);
  }
  return { id, key };
}

async function digest(bytes) {
  if (crypto.subtle) {
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    return [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }
  // Without TLS there is no SubtleCrypto; FNV-1a is enough to tell one selection from another.
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return `${hash.toString(16)}.${bytes.length}`;
}

function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** Have the server forget one upload; one that is gone already is no failure. */
export async function dropUpload(url) {
  try {
    await Upload.terminate(url, { headers: { "X-CSRFToken": csrfToken() }, retryDelays: [0, 2000] });
  } catch (error) {
    const status = error.originalResponse?.getStatus();
    if (status !== 404 && status !== 410) throw error;
  }
}

/** How much of a file the server has, or null where it does not say. */
async function offsetOf(url) {
  try {
    const answer = await fetch(url, { method: "HEAD", headers: { "Tus-Resumable": "1.0.0" } });
    const offset = answer.headers.get("upload-offset");
    return answer.ok && offset !== null ? Number(offset) : null;
  } catch {
    return null;
  }
}

/** What asking again may mend: no answer, a busy or failing server, a piece that overlaps another. */
function mayPass(status) {
  if (!status) return true;
  return status >= 500 ? status !== 507 : [408, 409, 423, 429].includes(status);
}

export class Batch extends EventTarget {
  /**
   * `target`: the volunteer, arm and site that were chosen. `places`: a mapping file's text or a
   * pattern that says where the files go. `limits`: how many files and bytes the server takes
   * together.
   */
  constructor(files, target, urls, places = {}, limits = {}) {
    super();
    Object.assign(this, { files, target, urls, places, limits });
    this.total = files.reduce((sum, { file }) => sum + file.size, 0);
    this.accepted = new Map(); // path -> bytes that the server has confirmed
    this.moving = new Map(); // path -> bytes that have left, of files under way
    this.refused = false; // by the server, for good: sending the same again would not help
    this.state = "sending";
    this.error = "";
    this.active = new Map();
    this.waiting = [...files];
  }

  get sent() {
    const confirmed = [...this.accepted.values()].reduce((sum, bytes) => sum + bytes, 0);
    const more = ([path, bytes]) => Math.max(0, bytes - (this.accepted.get(path) ?? 0));
    return confirmed + [...this.moving].reduce((sum, one) => sum + more(one), 0);
  }

  get name() {
    const [first] = this.files;
    if (this.files.length === 1) return first.path;
    const folder = first.path.includes("/") ? first.path.split("/")[0] : "";
    return `${folder ? `${folder}: ` : ""}${this.files.length} files`;
  }

  get running() {
    return ["sending", "paused", "finishing"].includes(this.state);
  }

  async start() {
    const place = [this.urls.tus, this.target.volunteer, this.target.arm, this.places, this.target.site];
    ({ id: this.id, key: this.idKey } = await batchId(this.files, place));
    this.memory = new Memory(this.id);
    await this.begin();
  }

  /** What the server would refuse in the midst of it. */
  get excess() {
    const { files = Infinity, bytes = Infinity } = this.limits;
    if (this.files.length > files) {
      return `These are ${this.files.length} files; up to ${files} are taken together. Send some of the folders at a time.`;
    }
    const most = Math.floor(bytes / 1024 ** 3);
    return this.total > bytes ? `These files are larger than the ${most} GB that are taken together. Send some at a time.` : "";
  }

  /** A code or mapping that cannot be used, or too much, is said before anything is sent. */
  async begin() {
    if (this.excess) {
      this.refused = true;
      this.error = this.excess;
      if (this.state === "sending") this.become("failed");
      return;
    }
    if (!this.placed) {
      try {
        await postJson(this.urls.places, { batch: this.id, ...this.target, ...this.places });
        this.placed = true;
      } catch (error) {
        this.refused = error.status === 400 || error.status === 422;
        this.error = error.status ? error.message : "The server cannot be reached.";
        if (this.state === "sending") this.become("failed");
        return;
      }
    }
    this.ids = this.memory.ids(this.files.map(mark));
    const { name, total, idKey } = this;
    this.memory.about = { name, total, files: this.files.length, idKey, at: Date.now() };
    if (this.state === "sending") this.fill();
  }

  get checking() {
    return !this.placed;
  }

  fill() {
    while (this.state === "sending" && this.active.size < AT_ONCE && this.waiting.length) {
      this.send(this.waiting.shift());
    }
    if (this.state === "sending" && !this.active.size && !this.waiting.length) this.finish();
  }

  async send(entry) {
    const { file, path } = entry;
    const upload = new Upload(file, {
      endpoint: this.urls.tus,
      chunkSize: PIECE,
      retryDelays: RETRY_MS,
      headers: { "X-CSRFToken": csrfToken() },
      metadata: {
        filename: path,
        batch: this.id,
        id: this.ids[mark(entry)],
        ...this.target,
      },
      fingerprint: async () => mark(entry),
      urlStorage: this.memory,
      onShouldRetry: (error) => mayPass(error.originalResponse?.getStatus()),
      // A piece is long under way on a slow line: what has left shows at once, and what a break
      // lost of it is taken back.
      onProgress: (bytes) => this.move(path, bytes),
      onChunkComplete: (_, bytes) => this.confirm(path, bytes),
      onSuccess: () => this.arrived(entry),
      onError: (error) => this.fail(error, path),
    });
    this.active.set(path, upload);
    const [before] = await upload.findPreviousUploads();
    if (before) upload.resumeFromPreviousUpload(before);
    if (this.state === "sending") upload.start();
  }

  confirm(path, bytes) {
    this.accepted.set(path, bytes);
    this.changed();
  }

  move(path, bytes) {
    if (!this.active.has(path)) return;
    this.moving.set(path, bytes);
    this.changed();
  }

  arrived({ file, path }) {
    this.active.delete(path);
    this.moving.delete(path);
    this.confirm(path, file.size);
    this.fill();
  }

  async finish() {
    this.become("finishing");
    try {
      await postJson(this.urls.finish, { batch: this.id });
    } catch (error) {
      this.error = error.message;
      this.become("failed");
      return;
    }
    this.forget();
    this.become("sent");
  }

  fail(error, path) {
    if (this.state !== "sending") return;
    const answer = error.originalResponse;
    const status = answer?.getStatus();
    const said = answer?.getHeader("content-type")?.startsWith("text/plain") ? answer.getBody() : "";
    if (status === 401 || status === 403) this.error = "You are signed out, or may not do this.";
    else if (status) this.error = said || `The server answered ${status}.`;
    else this.error = "The server cannot be reached.";
    this.refused = Boolean(status) && status < 500 && ![401, 403].includes(status) && !mayPass(status);
    this.error = `${path}: ${this.error}`;
    this.halt("failed");
  }

  halt(state) {
    this.become(state);
    for (const [path, upload] of this.active) {
      upload.abort();
      const entry = this.files.find((one) => one.path === path);
      this.waiting.unshift(entry);
    }
    const begun = [...this.active];
    this.active.clear();
    this.settle(begun);
  }

  /** Of what was broken off, the server knows what has arrived: that is what counts. */
  async settle(begun) {
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    for (const [path, upload] of begun) {
      const bytes = upload.url && this.state !== "cancelled" ? await offsetOf(upload.url) : null;
      if (this.active.has(path)) continue; // under way again
      if (bytes !== null) this.accepted.set(path, bytes);
      this.moving.delete(path);
    }
    if (begun.length && ["paused", "failed"].includes(this.state)) this.changed();
  }

  pause() {
    if (this.state === "sending") this.halt("paused");
  }

  resume() {
    this.error = "";
    this.become("sending");
    this.begin();
  }

  /** Stop and have the server delete what has arrived. */
  async cancel() {
    this.halt("cancelled");
    const begun = Object.values(this.memory.all());
    this.forget();
    await Promise.allSettled(begun.map(({ uploadUrl }) => dropUpload(uploadUrl)));
  }

  forget() {
    this.memory.forget();
    localStorage.removeItem(this.idKey); // where nothing was begun yet
  }

  become(state) {
    this.state = state;
    this.changed();
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }
}
