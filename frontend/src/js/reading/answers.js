/*
 * What the reader has answered on one item: each criterion (a value, or why it cannot be assessed),
 * the comment and the arrows. What the server has stored and what waits in the outbox are laid over
 * one another, so that a reload shows the reader's own last act.
 *
 * Emits "change".
 */

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const EMPTY = { value: null, cannot_assess: "" };

const answered = ({ value, cannot_assess: cannot }) => value !== null || cannot !== "";

export class Answers extends EventTarget {
  /** `describe(value, criterion)`: a value in words, for the notes. */
  constructor(item, outbox, describe) {
    super();
    this.item = item;
    this.outbox = outbox;
    this.describe = describe;
    this.submitted = item.submitted || outbox.of(item.token).some(({ kind }) => kind === "submit");
    this.criteria = new Map();
    for (const criterion of item.criteria) {
      const { code, value, cannot_assess: cannot = "", revision } = criterion;
      const stored = { value, cannot_assess: cannot };
      this.criteria.set(code, {
        ...{ criterion, ...stored, stored, revision, pending: 0 },
        ...{ saved: answered(stored), note: "", feedback: "" },
      });
    }
    this.comment = { text: "", revision: 0, ...item.comment, pending: 0, note: "" };
    this.marks = { marks: [], revision: 0, ...item.marks, pending: 0, note: "" };
    for (const delivery of outbox.of(item.token)) this.overlay(delivery);
    this.listeners = {
      receipt: ({ detail }) => this.received(detail),
      conflict: ({ detail }) => this.conflicted(detail),
      refused: ({ detail }) => this.refused(detail),
      change: () => this.changed(),
    };
    for (const [name, act] of Object.entries(this.listeners)) outbox.addEventListener(name, act);
  }

  close() {
    for (const [name, act] of Object.entries(this.listeners)) {
      this.outbox.removeEventListener(name, act);
    }
  }

  /** What waits in this browser is the reader's last word. */
  overlay(delivery) {
    const { kind, body } = delivery;
    const entry = this.entryOf(delivery);
    if (!entry) return;
    entry.pending += 1;
    if (kind === "score") {
      const { value = null, cannot_assess: cannot = "" } = body;
      Object.assign(entry, { value, cannot_assess: cannot, saved: false });
    }
    if (kind === "comment") entry.text = body.text;
    if (kind === "marks") entry.marks = body.marks;
  }

  entryOf({ kind, body }) {
    const own = { comment: this.comment, marks: this.marks };
    return kind === "score" ? this.get(body.criterion) : own[kind];
  }

  /** The fields of the item's data as the server has them now, as far as this window knows. */
  asData() {
    const { text, marks } = { ...this.comment, ...this.marks };
    return {
      submitted: this.submitted,
      criteria: [...this.criteria.values()].map(({ criterion, stored, revision }) => ({
        ...criterion,
        ...stored,
        revision,
      })),
      comment: { text, revision: this.comment.revision },
      marks: { marks, revision: this.marks.revision },
    };
  }

  // --- Asking -------------------------------------------------------------------------------------

  get(code) {
    return this.criteria.get(code);
  }

  isAnswered(code) {
    return answered(this.get(code));
  }

  holds(code, answer) {
    const { value, cannot_assess: cannot } = this.get(code);
    return same({ ...EMPTY, ...answer }, { value, cannot_assess: cannot });
  }

  missing() {
    return [...this.criteria.keys()].filter((code) => !this.isAnswered(code));
  }

  waits(target) {
    return this.outbox.of(this.item.token).some((delivery) => delivery.target === target);
  }

  /** empty | saved | saving | waiting, of one criterion. */
  state(code) {
    const entry = this.get(code);
    if (!answered(entry)) return "empty";
    if (entry.saved && !this.waits(code)) return "saved";
    return this.outbox.trouble || this.outbox.isOffline() ? "waiting" : "saving";
  }

  /** Whether a change must be given a reason: `was` is there already and the protocol says so. */
  needsReason(was) {
    return was && (this.item.change_needs_reason || this.submitted);
  }

  // --- Answering ------------------------------------------------------------------------------------

  /** `answer`: {value} or {cannot_assess}. */
  answer(code, answer, reason = "") {
    if (this.holds(code, answer)) return;
    const entry = this.get(code);
    Object.assign(entry, EMPTY, answer, { note: "", feedback: "", saved: false });
    this.add("score", code, this.item.score_url, { criterion: code, ...answer }, entry, reason);
  }

  say(text, reason = "") {
    if (text === this.comment.text) return;
    Object.assign(this.comment, { text, note: "" });
    this.add("comment", ":comment", this.item.comment_url, { text }, this.comment, reason);
  }

  mark(marks, reason = "") {
    if (same(marks, this.marks.marks)) return;
    Object.assign(this.marks, { marks, note: "" });
    this.add("marks", ":marks", this.item.marks_url, { marks }, this.marks, reason);
  }

  add(kind, target, url, content, entry, reason) {
    // Built on what will be stored by then; the outbox corrects it by the receipts.
    const body = { ...content, revision: entry.revision + entry.pending };
    entry.pending += 1;
    if (reason) body.reason = reason;
    this.outbox.add({ kind, target, url, body, item: this.item.token, page: this.item.page });
    this.changed();
  }

  // --- What the server says -----------------------------------------------------------------------

  received({ delivery, answer }) {
    if (delivery.item !== this.item.token) return;
    if (delivery.kind === "submit") this.submitted = true;
    const entry = this.entryOf(delivery);
    if (!entry) return;
    entry.revision = answer.revision;
    entry.pending = Math.max(0, entry.pending - 1);
    if (delivery.kind === "score") {
      const { value = null, cannot_assess: cannot = "" } = answer;
      entry.stored = { value, cannot_assess: cannot };
      entry.saved = entry.pending === 0;
      entry.feedback = answer.feedback ?? "";
    }
    this.changed();
  }

  /** Answered elsewhere meanwhile: what is stored is shown, and what was meant here is named. */
  conflicted({ delivery, body }) {
    const entry = delivery.item === this.item.token ? this.entryOf(delivery) : null;
    if (!entry) return;
    const { revision } = body;
    Object.assign(entry, { revision, pending: 0 });
    if (delivery.kind === "score") {
      const { value = null, cannot_assess: cannot = "" } = body;
      const stored = { value, cannot_assess: cannot };
      const [is, meant] = [stored, entry].map((one) => this.describe(one, entry.criterion));
      Object.assign(entry, { ...stored, stored, saved: true });
      entry.note = `Answered in another window: ${is} is stored, not ${meant}. Choose again to change it.`;
    }
    if (delivery.kind === "comment") {
      entry.note = `Written in another window meanwhile. Not stored from here: “${entry.text}”`;
      entry.text = body.text;
    }
    if (delivery.kind === "marks") {
      entry.marks = body.marks;
      entry.note = "The arrows were changed in another window; those are shown now.";
    }
    this.changed();
  }

  /** Not accepted and not to be repeated: what the server has is shown again, with the reason. */
  refused({ delivery, error }) {
    const entry = delivery.item === this.item.token ? this.entryOf(delivery) : null;
    if (!entry) return;
    entry.pending = Math.max(0, entry.pending - 1);
    if (delivery.kind === "score" && entry.pending === 0) {
      Object.assign(entry, entry.stored, { saved: answered(entry.stored) });
    }
    entry.note = `Not stored: ${error.message}`;
    this.changed();
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }
}
