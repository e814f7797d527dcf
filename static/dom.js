// Small things every page needs.

export const find = (selector, root = document) => root.querySelector(selector);

/** A new element with properties and children; strings become text, never markup. */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Says it in the page's one live region, for eyes and for screen readers. */
export function announce(text) {
  find("#said").textContent = text;
}

/** Runs `task` now and `pause` ms after each end, while the page is visible; returns what runs it at once. */
export function whileVisible(task, pause) {
  let timer = 0;
  let running = false;
  async function run() {
    if (running || document.hidden) return;
    running = true;
    clearTimeout(timer);
    await task().catch((error) => console.error(error));
    running = false;
    timer = setTimeout(run, pause);
  }
  document.addEventListener("visibilitychange", run);
  run();
  return run;
}

/** A random UUID; crypto.randomUUID is missing where the page did not come over HTTPS or from this machine. */
export function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40; // version 4
  bytes[8] = (bytes[8] & 0x3f) | 0x80; // variant 1
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** Seconds that the page was visible since start(). */
export class Stopwatch {
  #sum = 0; // ms
  #since = null;

  constructor() {
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#stop() : this.#go()));
  }

  start() {
    this.#sum = 0;
    this.#since = null;
    if (!document.hidden) this.#go();
  }

  seconds() {
    const running = this.#since === null ? 0 : performance.now() - this.#since;
    return (this.#sum + running) / 1000;
  }

  #go() {
    this.#since ??= performance.now();
  }

  #stop() {
    this.#sum = this.seconds() * 1000;
    this.#since = null;
  }
}
