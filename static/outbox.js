// Answers on their way to the server: stored before they are sent, sent in order, deleted only after a yes.

import { Store, StoreFailed } from "./store.js";

const FIRST_WAIT = 1_000; // ms
const LONGEST_WAIT = 30_000;

/** `scope` keeps projects and people apart; `send(answer)` resolves on a yes and rejects with why not. */
export async function openOutbox(scope, send) {
  const outbox = new Outbox(new Store(`annotator ${scope}`), scope, send);
  for (const { answer } of await outbox.waiting()) outbox.images.set(answer.uuid, answer.image);
  return outbox;
}

/**
 * Fires "change" whenever `state` does. Its phase: saved, saving, offline (no reply), refused (a reply that may
 * change, as after a login), stuck (the browser does not read back what it keeps). What no repetition can help is
 * set aside with its reason and holds up nothing.
 */
class Outbox extends EventTarget {
  images = new Map(); // uuid -> image of the answers that wait here
  state = { phase: "saved", kept: 0, aside: 0, fleeting: 0, reason: "" };
  #store;
  #lock;
  #send;
  #storing = 0;
  #due = false;
  #running = false;
  #timer = 0;
  #wait = FIRST_WAIT;

  constructor(store, scope, send) {
    super();
    this.#store = store;
    this.#lock = `annotator outbox ${scope}`;
    this.#send = send;
    addEventListener("online", () => this.kick());
  }

  /** Resolves when the answer is stored, not when it is sent. `state.fleeting` counts those that no disk took. */
  async add(answer, url) {
    this.images.set(answer.uuid, answer.image);
    this.#storing += 1;
    this.#tell({ phase: this.#failing() ? this.state.phase : "saving", kept: this.state.kept + 1 });
    await this.#store.add({ answer, url });
    this.#storing -= 1;
    this.#tell({ fleeting: this.#store.fleeting });
    if (!this.#failing() || this.#running) this.kick(); // else the next try is planned
  }

  /** Entries, oldest first; none where they cannot be read, which the next try to send will say. */
  waiting() {
    return this.#store.waiting().catch(() => []);
  }

  aside() {
    return this.#store.aside();
  }

  async retryAside() {
    await this.#store.bringBack();
    this.kick();
  }

  /** Send what waits, now. */
  kick() {
    this.#due = true;
    if (!this.#running) this.#run();
  }

  async #run() {
    this.#running = true;
    while (this.#due) {
      this.#due = false;
      clearTimeout(this.#timer);
      await alone(this.#lock, () => this.#drain()).catch((error) => this.#retryLater(error));
    }
    this.#running = false;
  }

  async #drain() {
    await this.#store.settle();
    for (let entry; (entry = await this.#store.first());) {
      const error = await this.#deliver(entry);
      if (error) return this.#retryLater(error);
      this.#tell({ phase: "saving", reason: "", ...(await this.#counts()) });
    }
    this.#wait = FIRST_WAIT;
    if (this.#storing === 0) this.images.clear(); // another tab may have sent some of them
    this.#tell({ phase: this.#storing ? "saving" : "saved", reason: "", ...(await this.#counts()) });
  }

  /** Null when the entry is out of the way, the error when it has to be sent again. */
  async #deliver(entry) {
    try {
      await this.#send(entry.answer);
      await this.#store.remove(entry);
    } catch (error) {
      if (!error.lasting) return error;
      await this.#store.setAside(entry, error.message);
    }
    this.images.delete(entry.answer.uuid);
    return null;
  }

  async #retryLater(error) {
    const pause = this.#wait * (0.8 + 0.4 * Math.random()); // tabs that failed together do not return together
    this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT);
    this.#timer = setTimeout(() => this.kick(), pause);
    this.#tell({ phase: phaseOf(error), reason: error.message, ...(await this.#counts()) });
  }

  async #counts() {
    const counts = await this.#store.counts();
    return { ...counts, kept: counts.kept + this.#storing };
  }

  #failing() {
    return ["offline", "refused", "stuck"].includes(this.state.phase);
  }

  #tell(news) {
    const changed = Object.entries(news).some(([name, value]) => this.state[name] !== value);
    this.state = { ...this.state, ...news };
    if (changed) this.dispatchEvent(new Event("change"));
  }
}

function phaseOf(error) {
  if (error instanceof StoreFailed) return "stuck";
  return error.status ? "refused" : "offline";
}

/** One sender among all tabs. Where there are no locks (no secure context) the UUIDs keep answers single. */
async function alone(name, task) {
  return navigator.locks ? navigator.locks.request(name, task) : task();
}
