// What one person answered lately: undo and the strip of thumbnails live on it. No DOM, no network.

const KEPT = 500; // undo goes back so far without asking the server
export const SHOWN = 10;

/** A decision is {uuid, image, url, kind, class}, and `item` where it was answered on this page. */
export class Decisions {
  #log; // oldest first

  /** `history`: standing answers, newest first. */
  constructor(history) {
    this.#log = [...history].reverse();
  }

  add(decision) {
    this.#log.push(decision);
    if (this.#log.length > KEPT) this.#log.shift();
  }

  /** Takes the newest one back and returns it; undefined when there is none. */
  undo() {
    return this.#log.pop();
  }

  remove(uuid) {
    this.#log = this.#log.filter((each) => each.uuid !== uuid);
  }

  /** The server's word for all of it; what is known about an answer stays. */
  renew(history) {
    const known = new Map(this.#log.map((each) => [each.uuid, each]));
    this.#log = history.map((each) => known.get(each.uuid) ?? each).reverse();
  }

  /** The latest decision on each image, newest first, at most ten. */
  standing() {
    const latest = new Map();
    for (let i = this.#log.length - 1; i >= 0 && latest.size < SHOWN; i--) {
      const decision = this.#log[i];
      if (!latest.has(decision.image)) latest.set(decision.image, decision);
    }
    return [...latest.values()];
  }
}

/** The server's history, and on top the answers that have not reached it: outbox entries, oldest first. */
export function withWaiting(history, waiting) {
  const decisions = new Decisions(history);
  for (const { answer, url } of waiting) {
    if (answer.kind === "undo") decisions.remove(answer.undoes);
    else
      decisions.add({ uuid: answer.uuid, image: answer.image, kind: answer.kind, class: answer.class, url });
  }
  return decisions;
}
