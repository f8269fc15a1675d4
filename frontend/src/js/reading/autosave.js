/*
 * Scores that are never lost. A choice is written to localStorage before it is sent and stays there
 * until the server has confirmed it; one request a criterion is under way at a time, the newest
 * choice wins, and a failed one is tried again.
 *
 * Emits "change" whenever something that a page shows may have changed.
 */
import { postJson } from "../http.js";

const RETRY_SECONDS = [2, 4, 8, 15, 30];

/* Refusals that no repetition will turn. 401 and 403 may pass after signing in again. */
const FINAL = new Set([400, 404, 410, 422, 423]);

export class Autosave extends EventTarget {
  constructor(item) {
    super();
    this.url = item.score_url;
    this.key = `readerstudy.unsaved.${item.token}`;
    this.criteria = new Map(
      item.criteria.map(({ code, value, revision }) => [
        code,
        { value, saved: value, revision, state: value === null ? "empty" : "saved", error: "" },
      ]),
    );
    this.attempt = 0;
    this.online = () => this.retry();
    window.addEventListener("online", this.online);
  }

  close() {
    window.removeEventListener("online", this.online);
    clearTimeout(this.timer);
  }

  get(code) {
    return this.criteria.get(code);
  }

  missing() {
    return [...this.criteria].filter(([, { value }]) => value === null).map(([code]) => code);
  }

  /** empty | saved | saving | failed, of all criteria together. */
  state() {
    const states = [...this.criteria.values()].map(({ state }) => state);
    return ["failed", "saving", "saved"].find((state) => states.includes(state)) ?? "empty";
  }

  error() {
    return [...this.criteria.values()].find(({ state }) => state === "failed")?.error ?? "";
  }

  unsaved() {
    return ["saving", "failed"].includes(this.state());
  }

  choose(code, value) {
    const entry = this.get(code);
    if (entry.value === value && entry.state === "saved") return;
    entry.value = value;
    entry.state = "saving";
    entry.note = "";
    this.remember();
    this.changed();
    this.send(code);
  }

  /** Choices that an earlier visit could not deliver: shown again and sent. */
  resume() {
    let stored = {};
    try {
      stored = JSON.parse(localStorage.getItem(this.key) ?? "{}");
    } catch {
      localStorage.removeItem(this.key);
    }
    for (const [code, { value, revision }] of Object.entries(stored)) {
      const entry = this.get(code);
      if (!entry || entry.value === value) continue;
      if (entry.revision > revision) {
        entry.note = `An unsent choice of ${value} was dropped: this score was changed later.`;
      } else {
        this.choose(code, value);
      }
    }
    this.remember();
    this.changed();
  }

  retry() {
    clearTimeout(this.timer);
    for (const [code, entry] of this.criteria) {
      if (entry.state !== "failed") continue;
      entry.state = "saving";
      this.send(code);
    }
    this.changed();
  }

  async send(code) {
    const entry = this.get(code);
    if (entry.sending) return;
    entry.sending = true;
    const { value, revision } = entry;
    try {
      const answer = await postJson(this.url, { criterion: code, value, revision });
      this.confirmed(entry, value, answer.revision);
      this.attempt = 0;
    } catch (error) {
      this.refused(entry, value, error);
    } finally {
      entry.sending = false;
    }
    this.remember();
    this.changed();
    if (entry.state === "saving") this.send(code); // a newer choice was made meanwhile
  }

  confirmed(entry, value, revision) {
    entry.saved = value;
    entry.revision = revision;
    entry.error = "";
    if (entry.value === value) entry.state = "saved";
  }

  refused(entry, value, error) {
    if (error.status === 409 && Number.isInteger(error.body?.revision)) {
      // Changed in another tab or on another computer; or our own request, whose receipt was lost.
      const theirs = error.body.value;
      const newer = entry.value !== value;
      this.confirmed(entry, theirs, error.body.revision);
      if (newer) return; // the newer choice is sent on the new revision
      if (theirs !== value) {
        entry.note = `Scored ${theirs} in another window. Choose again to change it.`;
      }
      entry.value = theirs;
      entry.state = "saved";
      return;
    }
    entry.state = "failed";
    entry.error = error.status ? error.message : "The server cannot be reached.";
    if (FINAL.has(error.status)) return;
    clearTimeout(this.timer);
    const seconds = RETRY_SECONDS[Math.min(this.attempt, RETRY_SECONDS.length - 1)];
    this.attempt += 1;
    this.timer = setTimeout(() => this.retry(), seconds * 1000);
  }

  remember() {
    const unsaved = {};
    for (const [code, { value, revision, state }] of this.criteria) {
      if (state === "saving" || state === "failed") unsaved[code] = { value, revision };
    }
    if (Object.keys(unsaved).length) localStorage.setItem(this.key, JSON.stringify(unsaved));
    else localStorage.removeItem(this.key);
  }

  /** Resolves true when nothing is under way and everything is saved. */
  async settled() {
    while (this.state() === "saving") {
      await new Promise((resolve) => this.addEventListener("change", resolve, { once: true }));
    }
    return this.state() !== "failed";
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }
}
