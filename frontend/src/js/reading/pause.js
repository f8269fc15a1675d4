/*
 * A pause after the time that the protocol sets: the images are put away, and come back when the
 * pause is over and the reader is ready. It is no time spent on an item.
 */

const time = (date) => date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });

export class Pause {
  /** `end()` tells the server that the reader goes on. */
  constructor(dialog, activity, end) {
    this.dialog = dialog;
    this.activity = activity;
    this.skew = 0; // the server's clock minus this one's
    this.find = (name) => dialog.querySelector(`[data-pause-${name}]`);
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    this.find("end").addEventListener("click", () => {
      clearInterval(this.timer);
      dialog.close();
      activity.free("pause");
      end();
    });
  }

  clock(serverTime) {
    const now = Date.parse(serverTime);
    if (!Number.isNaN(now)) this.skew = now - Date.now();
  }

  show(pause) {
    if (!pause || this.dialog.open) return;
    this.until = Date.parse(pause.until) - this.skew;
    this.find("text").textContent = pause.text;
    this.activity.hold("pause");
    this.dialog.showModal();
    this.find("end").disabled = false;
    this.tick();
    this.timer = setInterval(() => this.tick(), 1000);
  }

  tick() {
    const left = Math.ceil((this.until - Date.now()) / 1000);
    const isOver = left <= 0;
    const wasOver = !this.find("end").disabled;
    this.find("end").disabled = !isOver;
    this.find("left").textContent = isOver
      ? "Go on whenever you are ready."
      : `Reading goes on at ${time(new Date(this.until))}.`;
    if (isOver && !wasOver) this.find("end").focus();
    if (isOver) clearInterval(this.timer);
  }
}
