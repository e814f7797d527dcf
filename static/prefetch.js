// The next images, claimed from the server and decoded by the browser before anybody asks for them.

const WANT = 6;
const LOW = 3; // claim again from here on: one request for several images
const MOST = 5_000; // images that a request may name
const REST = 60_000; // ms until a picture that could not be loaded is tried again

/** `claim(count, have)` -> {items, waiting}; `release(images)`; `elsewhere()`: images that must not come again. */
export class Prefetch {
  entries = [];
  #claim;
  #release;
  #elsewhere;
  #broken = new Set(); // images whose picture could not be loaded lately
  #busy = Promise.resolve();
  #short = false; // the server had fewer than it was asked for: more may come, as while images are imported

  constructor({ claim, release, elsewhere }) {
    this.#claim = claim;
    this.#release = release;
    this.#elsewhere = elsewhere;
  }

  get images() {
    return this.entries.map((entry) => entry.item.image);
  }

  /** The next entry, or undefined. Its picture is decoded unless people are faster than the network. */
  take() {
    return this.entries.shift();
  }

  putBack(entry) {
    this.entries.unshift(entry);
  }

  /** Its picture cannot be loaded: others may try, this page asks for another image. */
  giveBack({ item: { image } }) {
    this.#broken.add(image);
    setTimeout(() => this.#broken.delete(image), REST);
    this.#release([image]).catch(() => {}); // its lease runs out by itself
  }

  /** Claims what is missing. Resolves to why there is nothing, or null; rejects when there is no answer. */
  fill() {
    return this.#inTurn(async () => {
      if (this.entries.length > (this.#short ? WANT - 1 : LOW)) return null;
      const { entries, waiting } = await this.#fetch(WANT - this.entries.length);
      this.entries.push(...entries);
      return waiting;
    });
  }

  /** Exchanges the unseen entries for those of a new ranking; they stay usable until the new ones are here. */
  refresh() {
    return this.#inTurn(async () => {
      const stale = new Set(this.entries);
      const { entries } = await this.#fetch(WANT);
      const unseen = this.entries.filter((entry) => stale.has(entry));
      this.entries = entries;
      if (unseen.length) await this.#release(unseen.map((entry) => entry.item.image));
    });
  }

  async #fetch(count) {
    const have = new Set([...this.#elsewhere(), ...this.#broken, ...this.images]);
    const { items, waiting } = await this.#claim(count, [...have].slice(-MOST));
    this.#short = items.length < count;
    const fresh = items.filter((item) => !have.has(item.image)).map(load);
    for (const entry of fresh) entry.loaded.catch(() => this.#drop(entry));
    return { entries: fresh, waiting };
  }

  #drop(entry) {
    if (!this.entries.includes(entry)) return;
    this.entries = this.entries.filter((each) => each !== entry);
    this.giveBack(entry);
  }

  #inTurn(task) {
    const turn = this.#busy.then(task);
    this.#busy = turn.catch(() => {});
    return turn;
  }
}

/** {item, picture, loaded, ready}: an item on its way into the browser. */
export function load(item) {
  const picture = new Image();
  picture.src = item.url;
  picture.alt = "The image to label";
  picture.draggable = false;
  const entry = { item, picture, ready: false };
  entry.loaded = picture.decode().then(() => {
    entry.ready = true;
  });
  entry.loaded.catch(() => {}); // whoever shows it looks at `loaded` again
  return entry;
}
