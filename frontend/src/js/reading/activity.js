/*
 * How long a reader really looked at an item. Time counts while the page is visible, nothing lies
 * over it and the reader did something within the last minute; every other stretch is an
 * interruption with its reason (hidden, idle, unfocused, pause, signed_out, offline). The count is
 * kept in this browser, so that a reload goes on counting.
 */

export const IDLE_SECONDS = 60;
const TICK_MS = 1000;
const ASLEEP_MS = 30_000;
const MOST_INTERRUPTIONS = 200;
const SIGNS = ["pointerdown", "pointermove", "wheel", "keydown", "touchstart"];
const keyOf = (item) => `readerstudy.activity.${item}`;

export class Activity {
  constructor({ now = () => Date.now() } = {}) {
    this.now = now;
    this.item = null;
    this.holds = new Set(); // why time stands still although the page is visible
    this.lastSign = now();
    for (const sign of SIGNS) {
      document.addEventListener(sign, () => this.sign(), { capture: true, passive: true });
    }
    document.addEventListener("visibilitychange", () => this.update());
    window.addEventListener("pagehide", () => this.leave());
    setInterval(() => this.update(), TICK_MS);
  }

  /** Go on counting for an item; the one before is closed. */
  start(item) {
    this.leave();
    this.item = item;
    this.record = this.stored(item) ?? { began: this.now(), active: 0, interruptions: [] };
    this.reason = null;
    this.since = this.now();
    this.lastSign = this.since;
    this.update();
  }

  stored(item) {
    try {
      const kept = JSON.parse(localStorage.getItem(keyOf(item)));
      // The time between leaving and coming back was an interruption.
      if (kept?.left) {
        kept.interruptions.push({ why: "hidden", from: kept.left, to: this.now() });
        delete kept.left;
      }
      return kept;
    } catch {
      return null;
    }
  }

  sign() {
    this.lastSign = this.now();
    if (this.reason === "idle" || this.reason === "unfocused") this.update();
  }

  /** `hold("pause")` stops the clock until `free("pause")`. */
  hold(reason) {
    this.holds.add(reason);
    this.update();
  }

  free(reason) {
    this.holds.delete(reason);
    this.lastSign = this.now();
    this.update();
  }

  whyNot() {
    if (this.holds.size) return [...this.holds][0];
    if (document.visibilityState === "hidden") return "hidden";
    if (this.now() - this.lastSign <= IDLE_SECONDS * 1000) return null;
    return document.hasFocus() ? "idle" : "unfocused";
  }

  /** Account for the stretch since the last look, and for the change if there was one. */
  update() {
    if (!this.item) return;
    const now = this.now();
    const reason = this.whyNot();
    const elapsed = now - this.since;
    this.since = now;
    const { interruptions } = this.record;
    // A clock that leaps over many ticks was asleep (a closed lid): that was no reading.
    const asleep = this.reason === null && elapsed > ASLEEP_MS;
    if (asleep) interruptions.push({ why: "hidden", from: now - elapsed, to: now });
    else if (this.reason === null) this.add(elapsed);
    if (reason === this.reason) return;
    this.close(now);
    if (reason !== null) interruptions.push({ why: reason, from: now, to: null });
    this.reason = reason;
    this.keep();
  }

  add(milliseconds) {
    this.record.active += milliseconds;
    this.keep();
  }

  close(now) {
    const open = this.record.interruptions.at(-1);
    if (open && open.to === null) open.to = now;
  }

  keep(left = null) {
    const kept = left === null ? this.record : { ...this.record, left };
    try {
      localStorage.setItem(keyOf(this.item), JSON.stringify(kept));
    } catch {
      // Only the clock of this item starts anew after a reload.
    }
  }

  leave() {
    if (!this.item) return;
    this.update();
    this.close(this.now());
    this.keep(this.now());
    this.reason = null;
    this.since = this.now();
  }

  /** {active_ms, interruptions: [{at_ms, ms, why}]} of this visit, counted from its beginning. */
  summary() {
    this.update();
    const { began, active, interruptions } = this.record;
    const longest = [...interruptions].sort((a, b) => length(b) - length(a));
    const now = this.now();
    function length({ from, to }) {
      return (to ?? now) - from;
    }
    return {
      active_ms: Math.round(active),
      interruptions: longest
        .slice(0, MOST_INTERRUPTIONS)
        .sort((a, b) => a.from - b.from)
        .map((one) => ({
          at_ms: Math.max(0, Math.round(one.from - began)),
          ms: Math.max(0, Math.round(length(one))),
          why: one.why,
        })),
    };
  }

  /** The visit is over and its record on the way: the next one counts from nothing. */
  finish() {
    if (!this.item) return;
    localStorage.removeItem(keyOf(this.item));
    this.item = null;
  }
}
