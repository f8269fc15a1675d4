/*
 * What the reader did in a session, on its way to the server, in order. Every delivery is stored in
 * the browser before it is sent, carries an id by which the server knows it again, and leaves the
 * browser only with the server's receipt. While the network, the server or the sign-in is away,
 * deliveries wait; nothing is sent past one that waits.
 *
 * A delivery: {order, session, item, page, kind, target, url, body, made, id, refused?, held?}.
 * Events: "change" (what a page shows of the queue); "receipt", "conflict", "refused" and "held",
 * with {delivery, answer | body | error}.
 */
import { postJson } from "../http.js";
import { newId } from "./ids.js";
import { MemoryStore, Store } from "./store.js";
import { signedInAs } from "./who.js";

const RETRY_SECONDS = [1, 2, 4, 8, 15, 30];
const PATIENCE_MS = 20_000;

/* Refusals that no repetition turns; what was refused is kept and shown. */
const FINAL = new Set([400, 403, 404, 405, 409, 410, 413, 415, 422, 423]);
/* A submission refused for these can be put right: it is held until the reader has done so. */
const MENDABLE = new Set(["missing", "unseen"]);
/* The record of a visit or a display is full: nothing that the reader said, so nothing to tell. */
const RECORD_FULL = "record_full";
/* How many acts can be fitted in before a held submission. */
const ROOM = 0.001;

export class Outbox extends EventTarget {
  /** `session`: the address of the session whose deliveries these are; others are left alone. */
  static async open(session, signinUrl) {
    const outbox = new Outbox();
    outbox.session = session;
    outbox.signinUrl = signinUrl;
    try {
      outbox.store = await Store.open();
    } catch {
      outbox.store = new MemoryStore();
      outbox.keeps = false;
    }
    await outbox.refresh();
    window.addEventListener("online", () => outbox.retry());
    window.addEventListener("offline", () => outbox.changed());
    return outbox;
  }

  constructor() {
    super();
    this.keeps = true; // whether the browser stores what waits
    this.mine = [];
    this.adding = Promise.resolve();
    this.beingStored = []; // on their way into the browser's store, in order
    this.revisions = new Map(); // what the server's receipts said, by item and target
    this.sending = false;
    this.insists = false;
    this.attempt = 0;
    this.trouble = null; // null | unreachable | server | signed-out | other-person
    this.explanation = "";
    this.savedAt = null;
  }

  // --- What there is --------------------------------------------------------------------------

  waiting() {
    return this.mine.filter(({ refused }) => !refused);
  }

  refused() {
    return this.mine.filter(({ refused }) => refused);
  }

  /** All that waits of an item: what is still being stored too, or the last clicks would be missed. */
  of(item) {
    const known = new Set(this.mine.map(({ id }) => id));
    const onTheirWay = this.beingStored.filter((delivery) => !known.has(delivery.id));
    return [...this.waiting(), ...onTheirWay].filter((delivery) => delivery.item === item);
  }

  storedOf(item) {
    return this.waiting().filter((delivery) => delivery.item === item);
  }

  held() {
    return this.waiting().find(({ held }) => held) ?? null;
  }

  count() {
    return this.waiting().length + this.beingStored.length;
  }

  isOffline() {
    return !navigator.onLine || this.trouble === "unreachable";
  }

  async refresh() {
    const all = await this.store.all();
    this.mine = all.filter(({ session }) => session === this.session);
    this.changed();
  }

  include(stored) {
    const others = this.mine.filter(({ order }) => order !== stored.order);
    this.mine = [...others, stored].sort((a, b) => a.order - b.order);
  }

  /** Resolves true when nothing waits, false when it waits for the reader (signed out, held). */
  async settled() {
    while (this.count()) {
      if (this.held() || ["signed-out", "other-person"].includes(this.trouble)) return false;
      await new Promise((resolve) => this.addEventListener("change", resolve, { once: true }));
    }
    return true;
  }

  // --- Adding -------------------------------------------------------------------------------------

  /** Resolves when the delivery is stored in the browser; the sending goes on by itself. */
  add({ kind, target = "", item, page, url, body }) {
    const delivery = { session: this.session, item, page, kind, target, url, body };
    delivery.id = newId();
    delivery.made = new Date().toISOString();
    this.beingStored.push(delivery);
    this.changed();
    // One after the other, so that the stored order is the order of the clicks.
    const stored = this.adding.then(async () => {
      try {
        await this.keep(delivery);
      } finally {
        this.beingStored = this.beingStored.filter((one) => one !== delivery);
        this.changed();
      }
      await this.catchUp(delivery);
      this.deliver();
    });
    this.adding = stored.catch(() => {});
    return stored;
  }

  async keep(delivery) {
    const held = this.held();
    try {
      if (!held || held.item !== delivery.item) {
        this.include(await this.store.add(delivery));
      } else if (delivery.kind === "submit") {
        // Submitted once more: in the place of the one that was held, before all that came after.
        const again = { ...delivery, order: held.order };
        await this.store.put(again);
        this.include(again);
      } else {
        const before = this.mine.filter(({ order }) => order < held.order).at(-1)?.order;
        const order = Math.max(held.order - 1, before ?? 0) + ROOM;
        await this.store.put({ ...delivery, order });
        this.include({ ...delivery, order });
      }
    } catch {
      await this.withoutStore(delivery);
    }
  }

  /** The disk is full, or the store was closed: go on in memory; the page says so. */
  async withoutStore(delivery) {
    const memory = new MemoryStore();
    for (const one of this.mine) await memory.put(one);
    this.store = memory;
    this.keeps = false;
    this.include(await memory.add(delivery));
  }

  // --- Sending --------------------------------------------------------------------------------------

  /** Send what waits. A call made meanwhile makes the one under way look once more. */
  async deliver() {
    this.again = this.sending;
    if (this.sending) return;
    this.sending = true;
    clearTimeout(this.timer);
    try {
      await this.alone(async () => {
        await this.refresh();
        let [next] = this.waiting();
        while (next && !next.held && (await this.send(next))) [next] = this.waiting();
      });
    } finally {
      this.sending = false;
      this.changed();
    }
    if (!this.again || (this.trouble && !this.insists)) return;
    this.insists = false;
    this.deliver();
  }

  /** Two windows of one session must not send the same delivery side by side. */
  alone(act) {
    if (!navigator.locks) return act();
    return navigator.locks.request(`readerstudy.delivery.${this.session}`, act);
  }

  /** True if the next one may go. */
  async send(delivery) {
    let answer;
    try {
      answer = await postJson(
        delivery.url,
        { ...delivery.body, id: delivery.id },
        { signal: AbortSignal.timeout(PATIENCE_MS) },
      );
    } catch (error) {
      return this.failed(delivery, error);
    }
    this.well();
    this.savedAt = new Date(answer.saved_at ?? Date.now());
    await this.drop(delivery);
    await this.rebase(delivery, answer);
    this.emit("receipt", { delivery, answer });
    return true;
  }

  /** The next choice for the same thing was made on what is stored now. */
  async rebase(delivery, { revision }) {
    if (!delivery.target || revision === undefined) return;
    this.revisions.set(`${delivery.item} ${delivery.target}`, revision);
    const next = this.storedOf(delivery.item).find(({ target }) => target === delivery.target);
    if (next && next.body.revision !== revision) await this.put(next, revision);
  }

  /** The same for a choice that was being stored when the receipt came. */
  async catchUp({ id, item, target, body }) {
    const revision = this.revisions.get(`${item} ${target}`);
    if (revision === undefined || !(body.revision < revision)) return;
    const stored = this.storedOf(item).find((one) => one.id === id);
    const first = this.storedOf(item).find((one) => one.target === target);
    if (stored && stored === first) await this.put(stored, revision);
  }

  async put(delivery, revision) {
    const rebased = { ...delivery, body: { ...delivery.body, revision } };
    await this.store.put(rebased);
    this.include(rebased);
  }

  async failed(delivery, error) {
    if (error.status === 409 && error.code === "conflict") {
      this.well();
      // Later choices for the same thing were made on what turned out not to be stored.
      for (const one of this.storedOf(delivery.item)) {
        if (one.order === delivery.order || (one.target && one.target === delivery.target)) {
          await this.drop(one);
        }
      }
      this.emit("conflict", { delivery, body: error.body });
      return true;
    }
    if (error.status === 401) return this.wait("signed-out", error.message);
    if (error.status === 403 || error.status === 404) {
      const who = await signedInAs(this.signinUrl, delivery.item);
      if (who === "unknown") return this.later("unreachable", "");
      if (who === "nobody") return this.wait("signed-out", error.message);
      if (who === "another") return this.wait("other-person", error.message);
      // The right person: the page's proof against forged requests was out of date, or the reader
      // came back just after the refusal. What is refused once more is refused.
      if (!delivery.triedAgain) {
        delivery.triedAgain = true;
        return true;
      }
    }
    if (FINAL.has(error.status)) return this.refuse(delivery, error);
    return error.status
      ? this.later("server", error.message)
      : this.later("unreachable", "");
  }

  async refuse(delivery, error) {
    this.well();
    const { status, message, code, body } = error;
    if (code === RECORD_FULL) {
      await this.drop(delivery);
      return true;
    }
    const mendable = delivery.kind === "submit" && MENDABLE.has(code);
    const kept = { ...delivery, [mendable ? "held" : "refused"]: { status, message, code, body } };
    await this.store.put(kept);
    this.include(kept);
    this.emit(mendable ? "held" : "refused", { delivery: kept, error });
    return !mendable;
  }

  well() {
    this.attempt = 0;
    this.trouble = null;
    this.explanation = "";
  }

  /** Until the reader signs in again. */
  wait(trouble, explanation) {
    this.trouble = trouble;
    this.explanation = explanation;
    this.changed();
    return false;
  }

  /** Until a while has passed. */
  later(trouble, explanation) {
    const seconds = RETRY_SECONDS[Math.min(this.attempt, RETRY_SECONDS.length - 1)];
    this.attempt += 1;
    this.timer = setTimeout(() => this.deliver(), seconds * 1000);
    return this.wait(trouble, explanation);
  }

  /** The network is back, the reader signed in again, or pressed "Send now". */
  retry() {
    this.well();
    this.insists = this.sending; // what is under way may still fail as before
    return this.deliver();
  }

  async drop(delivery) {
    await this.store.remove(delivery.order);
    this.mine = this.mine.filter(({ order }) => order !== delivery.order);
    this.changed();
  }

  /** Forget what was refused, once the reader has seen it. */
  async dismiss() {
    for (const delivery of this.refused()) await this.drop(delivery);
  }

  // --- Telling ------------------------------------------------------------------------------------

  emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
    this.changed();
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }
}
