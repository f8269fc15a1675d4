/*
 * The data of items: the one that is read, the next two fetched ahead, and what is known of those
 * already read, so that reading goes on while the network is away.
 */
import { getJson } from "../http.js";

const AHEAD = { headers: { Accept: "application/json", Purpose: "prefetch" } };
const WAIT_MS = 3000;

/** An item cannot be had now or ever; `page` says where the reader belongs instead, if known. */
export class NotReachable extends Error {
  constructor(message, page = null) {
    super(message);
    this.page = page;
  }
}

export class Items {
  /**
   * `signIn()` asks for the password: true when signed in again, false if that was put off; `back()`
   * resolves when the reader is signed in again, however it came about; `say(text, label, act)` tells
   * what is being waited for.
   */
  constructor({ signIn, back, say }) {
    this.signIn = signIn;
    this.back = back;
    this.say = say;
    this.ahead = new Map(); // data address -> data that was fetched ahead, not yet opened
    this.read = new Map(); // data address -> data of items opened before, as they were left
    this.outbox = null;
  }

  /** The data of an item. Waits for the network, for the sign-in, and for what is on its way. */
  async open({ page, data: address }, isWanted) {
    const prepared = this.ahead.get(address);
    this.ahead.delete(address);
    if (prepared) return { ...prepared, page, address };
    while (isWanted()) {
      if (this.outbox?.count() && !this.read.has(address)) await this.delivered(isWanted);
      const waiting = this.outbox?.count() ?? 0;
      try {
        const data = await getJson(address);
        // Something was stored meanwhile: the answer may be older than that.
        if ((this.outbox?.count() ?? 0) < waiting) continue;
        return { ...data, page, address, isFresh: true };
      } catch (error) {
        const known = this.read.get(address);
        const isAway = !error.status || error.status === 401 || error.status >= 500;
        if (isAway && known) return { ...known, page, address };
        await this.hindered(error, page);
      }
    }
    return null;
  }

  /** What lies beyond the next two can only be had when the server knows what was read before. */
  async delivered(isWanted) {
    const { outbox } = this;
    while (outbox.count() && isWanted()) {
      if (outbox.held()) throw new NotReachable("", outbox.held().page);
      if (outbox.trouble === "signed-out") {
        await this.signedOut();
      } else if (outbox.trouble === "other-person") {
        this.say("Another person is signed in in this browser. The next item is fetched when you are signed in again; your answers are kept.", "Sign in", this.signIn);
        await this.pause();
      } else {
        if (outbox.trouble || outbox.isOffline()) {
          this.say("The next item is fetched as soon as the server answers again. Your answers are kept.");
        }
        await Promise.race([outbox.settled(), this.pause()]);
      }
    }
  }

  /** Asked for once for an item; then nothing comes over the page until the reader is back. */
  async signedOut() {
    const isBack = this.back();
    if (await this.signIn()) return;
    this.say("You are signed out. The item is fetched when you have signed in again; your answers are kept.", "Sign in", this.signIn);
    await isBack;
  }

  async hindered(error, page) {
    if (error.status === 401) {
      await this.signedOut();
      return;
    }
    if (error.code === "not_open") throw new NotReachable(error.message, error.body.open);
    if (error.status && error.status < 500 && error.status !== 429) {
      throw new NotReachable(error.message, null);
    }
    this.say(
      error.status
        ? `The item could not be fetched: ${error.message} It is tried again by itself.`
        : "No connection. The item is fetched as soon as the network is back; your answers are kept.",
    );
    await this.pause();
  }

  /** Until some time has passed, or the network is back. */
  pause() {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, WAIT_MS);
      window.addEventListener("online", () => resolve(clearTimeout(timer)), { once: true });
    });
  }

  /** The list of items that are fetched ahead already. */
  prepared() {
    return [...this.ahead.keys()].map((data) => ({ data }));
  }

  /** The list of the next items as the server sees it now. */
  async following(item) {
    try {
      return (await getJson(item.address, AHEAD)).ahead ?? [];
    } catch {
      return this.prepared(); // only a convenience
    }
  }

  /** The data of the next items; those in no list any more are forgotten. */
  async prepare(list) {
    const wanted = new Set(list.map(({ data }) => data));
    for (const address of this.ahead.keys()) if (!wanted.has(address)) this.ahead.delete(address);
    for (const { data: address } of list) {
      if (this.ahead.has(address) || this.read.has(address)) continue;
      try {
        this.ahead.set(address, await getJson(address, AHEAD));
      } catch {
        break; // only a convenience: the item is fetched when it is opened
      }
    }
    return list.map(({ data }) => this.ahead.get(data)).filter(Boolean);
  }

  /** How an item was left, for coming back to it without a network. */
  remember(item, answers) {
    this.read.set(item.address, { ...item, ...answers.asData(), isFresh: false });
    const [oldest] = this.read.keys();
    if (this.read.size > 4) this.read.delete(oldest);
  }
}
