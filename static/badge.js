// The outbox badge at the head of a page, and the dialog behind it.

import { find, make } from "./dom.js";
import { badge } from "./words.js";

const CALM = 300; // ms an answer may be on its way before the badge says so

export class Badge {
  #root;
  #outbox;
  #saying = 0;

  /** `root` gets the outbox's state as data attributes. */
  constructor(outbox, root) {
    this.#outbox = outbox;
    this.#root = root;
    outbox.addEventListener("change", () => this.#show());
  }

  /** What waits, what was refused, and a button that sends it again. */
  async open() {
    const aside = await this.#outbox.aside();
    const line = ({ answer, reason }) => make("li", {}, `Image ${answer.image}, ${answer.kind}: ${reason}`);
    find("#outbox-aside").replaceChildren(...aside.map(line));
    find("#outbox-refused").hidden = aside.length === 0;
    find("#outbox-retry").onclick = () => this.#outbox.retryAside();
    find("#outbox-dialog").showModal();
  }

  #show() {
    const { phase: outbox, kept, aside, fleeting } = this.#outbox.state;
    Object.assign(this.#root.dataset, { outbox, kept, aside, fleeting });
    if (outbox !== "saving") this.#draw();
    else this.#saying ||= setTimeout(() => this.#draw(), CALM); // what is through in a moment is no news
  }

  #draw() {
    clearTimeout(this.#saying);
    this.#saying = 0;
    const { state } = this.#outbox;
    const { short, long } = badge(state);
    find("#outbox").dataset.phase = state.aside ? "aside" : state.phase;
    find("#outbox-short").textContent = short;
    find("#outbox-long").textContent = long;
  }
}
