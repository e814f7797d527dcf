// Answers on this device, in the order they were given: one IndexedDB database per project and person.
//
// An entry is {answer, url}: the request's body, and the picture for the page. Where the browser refuses to store
// (private window, full disk) entries wait in memory instead, and `counts` says so.

const WAITING = "waiting";
const ASIDE = "aside";

/** The browser's storage worked and does not any more. */
export class StoreFailed extends Error {}

export class Store {
  #name;
  #disk = null; // promise of the database
  #opened = false;
  #memory = { [WAITING]: new Map(), [ASIDE]: new Map() };
  #known = { [WAITING]: 0, [ASIDE]: 0 }; // on the disk, when it could last be asked
  #next = 0;
  #passed = 0; // the newest key that is out of the way although the disk was too full to delete it
  #turn = Promise.resolve();
  #ahead = () => IDBKeyRange.lowerBound(this.#passed, true);

  constructor(name) {
    this.#name = name;
  }

  /** How many live in memory only. */
  get fleeting() {
    return this.#memory[WAITING].size + this.#memory[ASIDE].size;
  }

  /** Resolves when the entry is on the disk: true, or in memory: false. */
  add(entry) {
    return this.#inTurn(() => this.#put(WAITING, entry));
  }

  /** Tries again to store what lives in memory. Not while an entry is being sent: it would be there twice. */
  settle() {
    return this.#inTurn(async () => {
      for (const [name, held] of Object.entries(this.#memory)) {
        const entries = [...held];
        if (entries.length && (await this.#stored(name, Array.from(entries, ([, entry]) => entry))))
          for (const [key] of entries) held.delete(key);
      }
    });
  }

  /** The oldest entry, with its key; undefined when there is none. StoreFailed when it cannot be read. */
  async first() {
    const [held] = this.#memory[WAITING]; // younger than all on the disk
    const kept = held && { key: held[0], ...held[1] };
    try {
      const cursor = await this.#read(WAITING, (store) => result(store.openCursor(this.#ahead())));
      return cursor ? { key: cursor.key, ...cursor.value } : kept;
    } catch (error) {
      if (kept || this.#known[WAITING] === 0) return kept;
      throw error;
    }
  }

  /** Takes an entry out. Where the disk is too full to delete, it is passed over until the page is opened again. */
  async remove({ key }) {
    if (this.#memory[WAITING].delete(key)) return;
    await this.#delete(WAITING, key).catch(() => (this.#passed = key)); // sent again, its UUID keeps it single
  }

  /** Takes an entry out of the way of the others, with the reason; nothing is dropped. */
  async setAside({ key, answer, url }, reason) {
    const entry = { answer, url, reason };
    const safe = await this.#inTurn(() => this.#put(ASIDE, entry)); // first: a crash in between leaves two, never none
    if (safe || this.#memory[WAITING].has(key)) await this.remove({ key });
    else this.#passed = key;
  }

  /** Puts everything set aside behind the waiting entries. */
  async bringBack() {
    for (const { key, answer, url } of await this.aside()) {
      const safe = await this.add({ answer, url });
      // one by one: another tab may be setting aside more
      if (!this.#memory[ASIDE].delete(key) && safe) await this.#delete(ASIDE, key);
    }
  }

  waiting() {
    return this.#all(WAITING);
  }

  aside() {
    return this.#all(ASIDE);
  }

  /** {kept, aside, fleeting}: how many wait, how many are set aside, how many of both live in memory only. */
  async counts() {
    const [kept, aside] = await Promise.all([this.#count(WAITING, this.#ahead), this.#count(ASIDE)]);
    const [waiting, put] = [this.#memory[WAITING].size, this.#memory[ASIDE].size];
    return { kept: kept + waiting, aside: aside + put, fleeting: this.fleeting };
  }

  /** On the disk, or how many there were when it could last be read. */
  async #count(name, range = () => undefined) {
    const count = await this.#read(name, (store) => result(store.count(range()))).catch(() => undefined);
    return (this.#known[name] = count ?? this.#known[name]);
  }

  /** True: on the disk. False: in memory, behind what is there already, so that first in stays first out. */
  async #put(name, entry) {
    const held = this.#memory[name];
    if (held.size === 0 && (await this.#stored(name, [entry]))) return true;
    held.set(`memory ${this.#next++}`, entry);
    return false;
  }

  /** False where the disk does not take them: then it takes none. */
  async #stored(name, entries) {
    try {
      await this.#write(name, (store) => entries.forEach((entry) => store.add(entry)), "strict");
    } catch {
      return false;
    }
    this.#known[name] += entries.length;
    return true;
  }

  #delete(name, key) {
    return this.#write(name, (store) => store.delete(key), "relaxed");
  }

  async #all(name) {
    const both = (store) => Promise.all([result(store.getAllKeys()), result(store.getAll())]);
    const [keys, entries] = (await this.#read(name, both)) ?? [[], []];
    const stored = entries.map((entry, i) => ({ ...entry, key: keys[i] }));
    const held = Array.from(this.#memory[name], ([key, entry]) => ({ ...entry, key }));
    return [...stored, ...held];
  }

  /** What `ask(store)` resolves to; undefined where there never was a disk. */
  async #read(name, ask) {
    try {
      const database = await this.#database();
      return await ask(database.transaction(name, "readonly").objectStore(name));
    } catch (error) {
      if (!this.#opened) return undefined;
      throw new StoreFailed(`this browser cannot read what it keeps (${error.message})`);
    }
  }

  /** All of `change(store)` or nothing. */
  async #write(name, change, durability) {
    const database = await this.#database();
    const transaction = database.transaction(name, "readwrite", { durability });
    change(transaction.objectStore(name));
    transaction.commit(); // at once: what is still open when the page goes away is lost
    await done(transaction);
  }

  /** The database, opened again where the browser has closed it (site data cleared). Rejects where there is none. */
  #database() {
    if (this.#disk === null) {
      this.#passed = 0; // a new database counts from one again
      this.#disk = this.#open();
      this.#disk.catch(() => (this.#disk = null));
    }
    return this.#disk;
  }

  async #open() {
    const database = await open(this.#name);
    database.onclose = () => (this.#disk = null);
    this.#opened = true;
    return database;
  }

  #inTurn(task) {
    const turn = this.#turn.then(task);
    this.#turn = turn.catch(() => {});
    return turn;
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

function done(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onerror = transaction.onabort = () => reject(transaction.error);
  });
}
