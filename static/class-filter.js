// Type to filter: where there are more classes than keys.

import { announce } from "./dom.js";

export const folded = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

export class ClassFilter {
  #input;
  #list;

  /** `input` filters the items of `list` by their `.name`; Enter presses the first that is left, Escape ends it. */
  constructor(input, list) {
    this.#input = input;
    this.#list = list;
    input.addEventListener("input", () => this.#filter());
    input.addEventListener("keydown", (event) => this.#key(event));
  }

  focus() {
    if (this.#input.closest("[hidden]")) return announce("There is nothing to filter: every class has its key.");
    this.#input.focus();
    this.#input.select();
  }

  #filter() {
    const wanted = folded(this.#input.value.trim());
    for (const item of this.#list.children) item.hidden = !folded(item.querySelector(".name").textContent).includes(wanted);
    const left = this.#left().length;
    announce(left === 0 ? "No class is called like this." : `${left} ${left === 1 ? "class" : "classes"} left.`);
  }

  #left() {
    return [...this.#list.children].filter((item) => !item.hidden);
  }

  #key(event) {
    if (event.isComposing || !["Enter", "Escape"].includes(event.key)) return;
    event.preventDefault();
    const [first] = this.#left();
    this.#end();
    if (event.key === "Enter" && first) first.querySelector("button").click();
  }

  #end() {
    this.#input.value = "";
    for (const item of this.#list.children) item.hidden = false;
    this.#input.blur(); // the keys belong to the page again
  }
}
