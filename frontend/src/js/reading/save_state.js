/* The line that says where the answers are: stored on the server, on the way, or waiting here. */

const TOLD = new Set(["score", "comment", "marks", "submit"]);
const SLOW_MS = 600; // shorter journeys are not worth reading about

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
    const waiting = outbox.waiting().filter(({ kind }) => TOLD.has(kind)).length;
    const isAway = outbox.trouble !== null || outbox.isOffline();
    this.box.dataset.count = String(outbox.count());
    clearTimeout(this.slow);
    if (outbox.count() && !isAway && !outbox.held()) {
      this.slow = setTimeout(() => this.show("saving", "Saving…"), SLOW_MS);
      if (this.box.dataset.saveState === "saved") return;
    }
    const [state, text] = this.words(waiting, isAway);
    this.show(state, text);
  }

  words(waiting, isAway) {
    const { outbox } = this;
    const many = waiting === 1 ? "1 answer waits" : `${waiting} answers wait`;
    const where = outbox.keeps ? "in this browser" : "in this window: do not close it";
    if (outbox.held()) return ["waiting", `${many} until the item above is submitted.`];
    if (outbox.trouble === "signed-out") return ["failed", `Signed out. ${many} ${where}.`];
    if (outbox.trouble === "other-person") {
      return ["failed", `Another person is signed in here. ${many} ${where}.`];
    }
    if (outbox.isOffline()) return ["offline", `Offline. ${many} ${where}.`];
    if (isAway) return ["waiting", `The server does not answer. ${many} ${where}.`];
    if (outbox.savedAt) return ["saved", `Saved at ${time(outbox.savedAt)}`];
    return ["empty", "Every choice is saved at once"];
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
