/*
 * A session is read in one window at a time: the window that holds the session's lock. A second one
 * says so and can take over; the first then says that reading went on elsewhere. Deliveries are
 * stored for both, so that nothing is lost on the way. (Windows on two computers meet at the server,
 * which refuses what was scored on an old state and tells what is stored.)
 *
 * Events: "held", and "lost" when another window took over.
 */

const ATTEMPTS = 4;
const WAIT_MS = 150;

export class OneWindow extends EventTarget {
  constructor(session) {
    super();
    this.name = `readerstudy.reading.${session}`;
    this.isHeld = false;
  }

  /** True if this window may read; false if another one does. */
  async enter() {
    // A page that is being left lets go of its lock a moment after the next one has begun.
    for (let attempt = 1; attempt < ATTEMPTS; attempt += 1) {
      if (await this.request({ ifAvailable: true })) return true;
      await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
    }
    return this.request({ ifAvailable: true });
  }

  async takeOver() {
    return this.request({ steal: true });
  }

  request(options) {
    if (!navigator.locks) {
      this.held();
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      navigator.locks
        .request(this.name, options, (lock) => {
          if (!lock) {
            resolve(false);
            return null;
          }
          this.held();
          resolve(true);
          return new Promise((release) => {
            this.release = release;
          });
        })
        .catch((error) => {
          if (error.name !== "AbortError") throw error;
          this.isHeld = false; // stolen
          this.dispatchEvent(new Event("lost"));
        });
    });
  }

  held() {
    this.isHeld = true;
    this.dispatchEvent(new Event("held"));
  }
}
