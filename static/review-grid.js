// The grid of the review page: which image is chosen, and what each cell says. Names only ever become text.

import { find } from "./dom.js";

const CRISP = 64; // px; smaller pictures are scaled up with hard edges
const STEPS = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };

export class Grid {
  #cells;
  #items = new Map(); // image -> item
  #name;
  #at = null; // the chosen cell

  /** `name(id)` gives a class's name; `chosen()` is called when another image is chosen. */
  constructor(name, chosen) {
    this.#name = name;
    this.#cells = [...document.querySelectorAll("#grid .cell")];
    for (const cell of this.#cells) {
      this.#items.set(Number(cell.dataset.image), JSON.parse(cell.dataset.item));
      const picture = find("img", cell);
      picture.classList.toggle("crisp", this.#isSmall(cell));
    }
    find("#grid").addEventListener("focusin", (event) => {
      const cell = event.target.closest(".cell");
      if (cell && cell !== this.#at) this.#choose(cell), chosen();
    });
  }

  /** The item of the chosen image; undefined when there is none. */
  get item() {
    return this.#at && this.#items.get(Number(this.#at.dataset.image));
  }

  /** Follows an arrow key, Home or End; false for every other key. Where none is chosen it chooses the first, or the last. */
  move(key) {
    const columns = this.#columns();
    const step = { ...STEPS, ArrowUp: -columns, ArrowDown: columns }[key];
    if (step === undefined || this.#cells.length === 0) return false;
    const here = this.#cells.indexOf(this.#at);
    const last = this.#cells.length - 1;
    const there = Math.min(Math.max(here < 0 && step < Infinity ? 0 : here + step, 0), last);
    const outside = here >= 0 && Math.abs(step) === columns && Math.abs(there - here) !== columns;
    this.#choose(this.#cells[outside ? here : there]);
    return true;
  }

  /** Choose an image, if it is on this page. */
  choose(image) {
    const cell = this.#cells.find((each) => Number(each.dataset.image) === image);
    if (cell) this.#choose(cell);
  }

  /** Choose the first image behind the chosen one, from the start again, that `fits`; false where none does. */
  next(fits) {
    const at = this.#cells.indexOf(this.#at) + 1;
    const order = [...this.#cells.slice(at), ...this.#cells.slice(0, at)];
    const cell = order.find((each) => fits(this.#items.get(Number(each.dataset.image))));
    if (cell) this.#choose(cell);
    return Boolean(cell);
  }

  /** The item of an image on this page, or undefined. */
  of = (image) => this.#items.get(image);

  /** What is known of an image now. */
  update(image, news) {
    const item = this.of(image);
    if (!item) return;
    Object.assign(item, news);
    const cell = this.#cells.find((each) => Number(each.dataset.image) === image);
    cell.dataset.status = item.status;
    find(".verdict", cell).textContent = said(item, this.#name);
    find(".other", cell).textContent = other(item, this.#name);
  }

  #choose(cell) {
    if (this.#at) Object.assign(this.#at, { tabIndex: -1, ariaCurrent: null });
    else this.#cells[0].tabIndex = -1;
    this.#at = cell;
    Object.assign(cell, { tabIndex: 0, ariaCurrent: "true" });
    if (!find("dialog[open]")) cell.focus();
    else cell.scrollIntoView({ block: "nearest" });
  }

  #columns() {
    const top = this.#cells[0]?.offsetTop;
    return Math.max(this.#cells.filter((cell) => cell.offsetTop === top).length, 1);
  }

  #isSmall(cell) {
    const { width, height } = this.#items.get(Number(cell.dataset.image));
    return Math.max(width, height) < CRISP;
  }
}

/** What stands: "cat", "conflict". */
export function said({ status, class: id }, name) {
  return id === null ? status : name(id);
}

/** What the model says, where that is something else. */
function other({ predicted, confidence, class: id }, name) {
  return predicted === null || predicted === id ? "" : `model: ${name(predicted)} ${confidence.toFixed(2)}`;
}
