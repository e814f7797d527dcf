// Answers on this device, in the order they were given: one IndexedDB database per project and person.
//
// An entry is {answer, url}: the request's body, and the picture for the page. Where the browser refuses to store
// (private window, full disk) an entry waits in memory instead, and `counts` says so.

const WAITING = "waiting";
const ASIDE = "aside";

export async function openStore(name) {
  return new Store(await open(name).catch(() => null));
}

class Store {
  #db;
  #memory = { [WAITING]: new Map(), [ASIDE]: new Map() };
  #next = 0;

  constructor(db) {
    this.#db = db;
  }

  /** Resolves when the entry is on the disk. */
  async add(entry) {
    await this.#put(WAITING, entry);
  }

  /** The oldest entry, with its key; undefined when there is none. */
  async first() {
    const cursor = this.#db && (await result(this.#read(WAITING).openCursor()));
    if (cursor) return { key: cursor.key, ...cursor.value };
    const [kept] = this.#memory[WAITING];
    return kept && { key: kept[0], ...kept[1] };
  }

  async remove({ key }) {
    if (this.#memory[WAITING].delete(key)) return;
    const change = this.#change(WAITING);
    change.delete(key);
    await done(change);
  }

  /** Takes an entry out of the way of the others, with the reason; nothing is dropped. */
  async setAside({ key, answer, url }, reason) {
    await this.#put(ASIDE, { answer, url, reason }); // first: a crash in between leaves two, never none
    await this.remove({ key });
  }

  /** Puts everything set aside behind the waiting entries. */
  async bringBack() {
    for (const { answer, url } of await this.aside()) await this.add({ answer, url });
    this.#memory[ASIDE].clear();
    if (this.#db) await done(this.#cleared());
  }

  waiting() {
    return this.#all(WAITING);
  }

  aside() {
    return this.#all(ASIDE);
  }

  /** {kept, aside, fleeting}: how many wait, how many are set aside, how many of both live in memory only. */
  async counts() {
    const count = (name) => (this.#db ? result(this.#read(name).count()) : 0);
    const [kept, aside] = await Promise.all([count(WAITING), count(ASIDE)]);
    const [waiting, put] = [this.#memory[WAITING].size, this.#memory[ASIDE].size];
    return { kept: kept + waiting, aside: aside + put, fleeting: waiting + put };
  }

  async #put(name, entry) {
    try {
      const change = this.#change(name, "strict");
      change.add(entry);
      await done(change);
    } catch {
      this.#memory[name].set(`memory ${this.#next++}`, entry);
    }
  }

  async #all(name) {
    const stored = this.#db ? await result(this.#read(name).getAll()) : [];
    return [...stored, ...this.#memory[name].values()];
  }

  #cleared() {
    const change = this.#change(ASIDE);
    change.clear();
    return change;
  }

  #read(name) {
    return this.#db.transaction(name, "readonly").objectStore(name);
  }

  #change(name, durability = "relaxed") {
    return this.#db.transaction(name, "readwrite", { durability }).objectStore(name);
  }
}

function open(name) {
  const request = indexedDB.open(name, 1);
  request.onupgradeneeded = () => {
    request.result.createObjectStore(WAITING, { autoIncrement: true }); // keys count up: first in, first out
    request.result.createObjectStore(ASIDE, { autoIncrement: true });
  };
  return result(request);
}

function result(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function done({ transaction }) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onerror = transaction.onabort = () => reject(transaction.error);
  });
}
