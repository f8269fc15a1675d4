/* The line that says where the answers are: stored on the server, on the way, or waiting here. */

const ANSWERS = new Set(["score", "comment", "marks"]);
const SLOW_MS = 600; // shorter journeys are not worth reading about

const plural = (count, one) => (count === 1 ? `1 ${one}` : `${count} ${one}s`);
const time = (date) =>
  date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });

export class SaveState {
  constructor(box, outbox, { signIn }) {
    this.box = box;
    this.outbox = outbox;
    this.text = box.querySelector("[data-save-text]");
    this.button = box.querySelector("[data-retry]");
    this.button.addEventListener("click", () => {
      if (this.needsSignIn()) signIn();
      else outbox.retry();
    });
    outbox.addEventListener("change", () => this.update());
    this.update();
  }

  needsSignIn() {
    return ["signed-out", "other-person"].includes(this.outbox.trouble);
  }

  update() {
    const { outbox } = this;
    const isAway = outbox.trouble !== null || outbox.isOffline();
    this.box.dataset.count = String(outbox.count());
    const isOnItsWay = outbox.count() > 0 && !isAway && !outbox.held();
    if (isOnItsWay && ["saved", "empty"].includes(this.box.dataset.saveState)) {
      // A queue that is worked off changes often: the clock began with its first delivery.
      this.slow ??= setTimeout(() => this.show("saving", "Saving…"), SLOW_MS);
      return;
    }
    clearTimeout(this.slow);
    this.slow = null;
    const [state, text] = isOnItsWay ? ["saving", "Saving…"] : this.words(isAway);
    this.show(state, text);
  }

  words(isAway) {
    const { outbox } = this;
    const where = outbox.keeps ? "in this browser" : "in this window: do not close it";
    const waiting = this.waiting(where);
    if (outbox.held()) return ["waiting", this.waiting("until the item above is submitted")];
    if (outbox.trouble === "signed-out") return ["failed", `Signed out. ${waiting}`];
    if (outbox.trouble === "other-person") {
      return ["failed", `Another person is signed in here. ${waiting}`];
    }
    if (outbox.isOffline()) return ["offline", `Offline. ${waiting}`];
    if (isAway) return ["waiting", `The server does not answer. ${waiting}`];
    if (outbox.savedAt) return ["saved", `Saved at ${time(outbox.savedAt)}`];
    return ["empty", "Every choice is saved at once"];
  }

  /** What is not on the server yet, in words: answers, and items submitted. */
  waiting(where) {
    const kinds = this.outbox.waiting().map(({ kind }) => kind);
    const answers = kinds.filter((kind) => ANSWERS.has(kind)).length;
    const items = kinds.filter((kind) => kind === "submit").length;
    const parts = [answers && plural(answers, "answer"), items && plural(items, "submitted item")];
    const what = parts.filter(Boolean).join(" and ");
    if (!what) return "Every answer given so far is saved.";
    return `${what} ${answers + items === 1 ? "waits" : "wait"} ${where}.`;
  }

  show(state, text) {
    this.box.dataset.saveState = state;
    // Said once, not with every change of the queue behind it.
    if (this.text.textContent !== text) this.text.textContent = text;
    const isStuck = state === "failed" || state === "waiting" || state === "offline";
    // Without a network nothing can be sent now: it is sent by itself when the network is back.
    this.button.hidden = !isStuck || !navigator.onLine || Boolean(this.outbox.held());
    this.button.textContent = this.needsSignIn() ? "Sign in" : "Send now";
  }
}
