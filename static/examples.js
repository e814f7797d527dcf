// Examples of each class in the help: fetched when a class comes into sight, so that a hundred classes cost nothing.

import { get } from "./api.js";
import { folded } from "./class-filter.js";
import { make } from "./dom.js";

const CRISP = 64; // px; smaller pictures are scaled up with hard edges
const FEW = 12; // classes that need no filter

export class Examples {
  #list;
  #input;
  #watch = null; // what is in sight

  constructor(list, input) {
    this.#list = list;
    this.#input = input;
    input.addEventListener("input", () => this.#filter());
  }

  /** Draws the classes as they are now; their examples are asked for anew. */
  show(classes) {
    this.#watch?.disconnect();
    this.#watch = new IntersectionObserver((entries) => this.#inSight(entries));
    this.#input.value = "";
    this.#input.parentElement.hidden = classes.length <= FEW;
    this.#list.replaceChildren(...classes.map(entry));
    for (const item of this.#list.children) this.#watch.observe(item);
  }

  #filter() {
    const wanted = folded(this.#input.value.trim());
    for (const item of this.#list.children) item.hidden = !folded(item.dataset.name).includes(wanted);
  }

  #inSight(entries) {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      this.#watch.unobserve(target);
      fill(target).catch((error) => say(target, error.status ? error.message : "The server does not answer."));
    }
  }
}

function entry({ id, name, key, guidance }) {
  const title = make("h3", {}, ...(key ? [make("kbd", { textContent: key }), " "] : []), name);
  const said = guidance ? [make("p", { textContent: guidance })] : [];
  const item = make("li", {}, title, ...said, make("div", { className: "thumbs" }));
  Object.assign(item.dataset, { class: id, name });
  return item;
}

async function fill(item) {
  const { examples } = await get(`/api/examples?class=${item.dataset.class}`);
  if (!examples.length) return say(item, "No example yet.");
  item.querySelector(".thumbs").replaceChildren(...examples.map(({ url }) => thumbnail(url, item.dataset.name)));
}

function thumbnail(url, name) {
  const address = new URL(url, location);
  address.searchParams.set("size", 96);
  const picture = make("img", { src: address.href, alt: `An example of ${name}`, decoding: "async" });
  picture.onload = () => picture.classList.toggle("crisp", picture.naturalWidth < CRISP);
  return picture;
}

function say(item, text) {
  item.querySelector(".thumbs").replaceWith(make("p", { className: "quiet", textContent: text }));
}
