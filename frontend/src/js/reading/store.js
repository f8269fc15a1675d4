/*
 * What this browser keeps until the server has it: one IndexedDB table of deliveries, in the order
 * in which they were made. A delivery that is stored here survives a reload, a crash and a power cut.
 */

const NAME = "readerstudy-reading";
const VERSION = 1;
const TABLE = "deliveries";

function opened() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, VERSION);
    request.onupgradeneeded = () => {
      const table = request.result.createObjectStore(TABLE, { keyPath: "order", autoIncrement: true });
      table.createIndex("reader", "reader");
    };
    request.onsuccess = () => {
      // A newer version of the page in another window may change the table: let it.
      request.result.onversionchange = () => request.result.close();
      resolve(request.result);
    };
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error("The store is held by another window."));
  });
}

/** Resolves with the request's result once the transaction is written, not merely begun. */
function done(transaction, request = null) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(request?.result);
    transaction.onabort = transaction.onerror = () => reject(transaction.error);
  });
}

export class Store {
  constructor(database) {
    this.database = database;
  }

  /** Throws where the browser keeps nothing (some private windows). */
  static async open() {
    return new Store(await opened());
  }

  /** The delivery with its place in the order. */
  async add(delivery) {
    const transaction = this.writing();
    const order = await done(transaction, transaction.objectStore(TABLE).add(delivery));
    return { ...delivery, order };
  }

  async put(delivery) {
    const transaction = this.writing();
    transaction.objectStore(TABLE).put(delivery);
    await done(transaction);
  }

  async remove(order) {
    const transaction = this.writing();
    transaction.objectStore(TABLE).delete(order);
    await done(transaction);
  }

  async all() {
    const transaction = this.database.transaction(TABLE);
    return done(transaction, transaction.objectStore(TABLE).getAll());
  }

  writing() {
    return this.database.transaction(TABLE, "readwrite", { durability: "strict" });
  }
}

/** The sessions of which something waits in this browser. */
export async function sessionsWaiting() {
  try {
    const store = await Store.open();
    return [...new Set((await store.all()).map(({ session }) => session))];
  } catch {
    return []; // nothing can be kept in this browser, so nothing waits
  }
}

/** Stands in where nothing can be kept; the page says so. */
export class MemoryStore {
  constructor() {
    this.kept = new Map();
    this.last = 0;
  }

  async add(delivery) {
    this.last += 1;
    const stored = { ...delivery, order: this.last };
    this.kept.set(this.last, stored);
    return stored;
  }

  async put(delivery) {
    this.last = Math.max(this.last, Math.ceil(delivery.order));
    this.kept.set(delivery.order, delivery);
  }

  async remove(order) {
    this.kept.delete(order);
  }

  async all() {
    return [...this.kept.values()].sort((a, b) => a.order - b.order);
  }
}
