// The review page: keys and clicks, corrections through the outbox, and the grid that follows them.

import { get, post } from "./api.js";
import { Badge } from "./badge.js";
import { Stopwatch, announce, find, uuid } from "./dom.js";
import { commandFor, placeOf } from "./keys.js";
import { openOutbox } from "./outbox.js";
import { Detail } from "./review-detail.js";
import { Grid, said } from "./review-grid.js";
import { badge } from "./words.js";

const STATES = { label: "labeled", unsure: "unsure", flag: "flagged" };
const TROUBLE = new Set(["offline", "refused", "stuck"]); // phases worth saying aloud

class Review {
  #tab = uuid();
  #names;
  #model; // the round that says what the model thinks
  #done = []; // corrections of this page: {uuid, image, before}
  #stale = new Set(); // images of which the server knows more than the grid, or will
  #watch = new Stopwatch();
  #work; // address of the conflicts that are left, when they are worked through one by one
  #more; // are there others than those of this page?
  #decided = new Set(); // images of this page
  #turns = false; // to those others, as soon as everything is on the server

  constructor(boot, outbox, waiting) {
    this.outbox = outbox;
    this.#work = boot.work;
    this.#more = boot.more;
    this.#model = boot.model;
    this.#names = new Map(Object.entries(boot.names).map(([id, name]) => [Number(id), name]));
    this.grid = new Grid(this.name, () => this.#chosen());
    this.detail = new Detail(this.name);
    for (const { answer } of waiting) this.#stale.add(answer.image);
    // the browser gives the focus back to the image that was chosen when it opened
    this.detail.dialog.addEventListener("close", () => this.grid.choose(this.detail.image));
  }

  name = (id) => this.#names.get(id) ?? "a class that is gone";

  // ---- choosing

  /** Follows an arrow key; false for every other key. */
  move(key) {
    const before = this.grid.item;
    if (!this.grid.move(key)) return false;
    if (this.grid.item !== before && this.detail.isOpen) this.look();
    return true;
  }

  #chosen() {
    this.#watch.start();
  }

  /** The chosen image closely. */
  look() {
    const { item } = this.grid;
    if (!item) return announce("Choose an image first: with the arrow keys, or click one.");
    this.#watch.start();
    this.detail.show(item);
    return this.#ask(item.image);
  }

  // ---- correcting

  answer(kind, id = null, via = "typed") {
    const { item } = this.grid;
    if (!item) return announce("Choose an image first: with the arrow keys, or click one.");
    const correction = { uuid: uuid(), image: item.image, before: { status: item.status, class: item.class } };
    this.#send(item, { uuid: correction.uuid, kind, class: id, via, undoes: null });
    this.#done.push(correction);
    this.#show(item, { status: STATES[kind], class: id });
    this.#decided.add(item.image);
    const rest = this.#work && this.detail.isOpen ? this.next() : "";
    this.#say(`Corrected ${this.#title(item)}: ${said(item, this.name)}${rest}`);
  }

  /** The next conflict comes up by itself; returns what is to be said where there is none on this page. */
  next() {
    if (this.grid.next(({ image, status }) => status === "conflict" && !this.#decided.has(image))) {
      this.look();
      return "";
    }
    if (this.detail.isOpen) this.detail.dialog.close();
    this.#turns = this.#more;
    return this.#more ? ". The next conflicts are coming." : ". That was the last conflict.";
  }

  accept() {
    const predicted = this.grid.item?.predicted ?? null;
    if (predicted === null) announce("The model says nothing of this image: press the key of its class.");
    else this.answer("label", predicted, "accepted");
  }

  /** Takes the latest correction of this page back. */
  undo() {
    const correction = this.#done.pop();
    if (!correction) return this.#say("There is no correction of this page left to undo.");
    const item = this.grid.of(correction.image);
    this.#decided.delete(item.image);
    this.#send(item, { uuid: uuid(), kind: "undo", class: null, via: "typed", undoes: correction.uuid });
    this.grid.choose(item.image);
    this.#show(item, correction.before);
    this.#say(`Taken back: ${this.#title(item)} is ${said(item, this.name)} again`);
  }

  #send(item, answer) {
    const seconds = Math.round(this.#watch.seconds() * 1000) / 1000;
    const about = { tab: this.#tab, image: item.image, seconds, review: true };
    const isKnown = item.predicted !== null;
    const model = { suggested: item.predicted, shown: isKnown, model: isKnown ? (item.model ?? this.#model) : null };
    this.#stale.add(item.image);
    this.outbox.add({ ...answer, ...about, ...model }, item.url);
  }

  #show(item, news) {
    this.grid.update(item.image, news);
    if (this.detail.isOpen) this.detail.show(item);
  }

  #title = (item) => item.names[0] ?? `image ${item.image}`;

  #say(text) {
    announce(text);
    if (this.detail.isOpen) this.detail.say(text); // behind an open dialog nothing is heard
  }

  // ---- what the server says

  /** Everything is on the server: several people may make another state of it than the grid could know. */
  async renew() {
    if (this.#turns) return location.assign(this.#work);
    for (const image of [...this.#stale]) {
      this.#stale.delete(image);
      if (this.grid.of(image)) await this.#ask(image);
    }
  }

  async #ask(image) {
    const reply = await get(`/api/review/${image}`).catch(() => null);
    if (!reply) return;
    const waits = [...this.outbox.images.values()].includes(image);
    if (!waits) {
      const { status, class: id, predicted, confidence, model } = reply.item;
      this.grid.update(image, { status, class: id, predicted, confidence, model });
    }
    if (!this.detail.isOpen || this.grid.item.image !== image) return;
    this.detail.show(this.grid.item);
    this.detail.tell(reply);
  }
}

function listen(review, shown, classes) {
  const commands = {
    class: ({ class: row }) => review.answer("label", row.id),
    accept: () => review.accept(),
    unsure: () => review.answer("unsure"),
    flag: () => review.answer("flag"),
    undo: () => review.undo(),
    help: () => find("#help").showModal(),
    outbox: () => shown.open(),
    ignore: () => {},
  };
  const rows = new Map(classes.map((row) => [row.id, row]));
  document.addEventListener("keydown", (event) => {
    const dialog = find("dialog[open]:not(#detail)");
    if (dialog) return event.key === "?" && dialog.close();
    const place = placeOf(event.target);
    if (place !== "field" && !event.ctrlKey && !event.metaKey && !event.altKey && review.move(event.key))
      return event.preventDefault();
    const command = commandFor(event, classes, place);
    const run = event.key === "Enter" ? () => review.look() : commands[command?.name]; // Esc, space: the browser's
    if (!command || !run) return;
    event.preventDefault();
    run(command);
  });
  let before = null; // what the click before hit
  document.addEventListener("click", (event) => {
    const hit = event.target.closest(".cell, button[data-command]");
    // a double click is one; the second half of one on an image may hit a button of the dialog that the first opened
    const isSame = hit === before || before?.matches(".cell");
    before = hit;
    if (!hit || (event.detail > 1 && isSame)) return;
    if (hit.matches(".cell")) return review.grid.choose(Number(hit.dataset.image)), review.look();
    if (event.detail > 0) hit.blur(); // after a click Enter belongs to the page again
    commands[hit.dataset.command]({ class: rows.get(Number(hit.dataset.class)) });
  });
}

function follow(review) {
  let phase = "";
  review.outbox.addEventListener("change", () => {
    const { state } = review.outbox;
    if (state.phase !== phase && TROUBLE.has(state.phase)) announce(badge(state).long);
    phase = state.phase;
    if (phase === "saved") review.renew();
  });
  addEventListener("beforeunload", (event) => {
    if (review.outbox.state.fleeting > 0) event.preventDefault(); // they would be gone
  });
  addEventListener("pageshow", (event) => event.persisted && location.reload()); // others have answered since
}

/** An address without what was left empty. */
function tidy() {
  find("#filter").addEventListener("submit", ({ target }) => {
    const empty = [...target.elements].filter((field) => field.name && !field.value);
    for (const field of empty) field.disabled = true;
    setTimeout(() => empty.forEach((field) => (field.disabled = false)));
  });
}

async function start() {
  const root = find("[data-boot]");
  const boot = JSON.parse(root.dataset.boot);
  tidy();
  const outbox = await openOutbox(`${boot.project.id} ${boot.person}`, (answer) => post("/api/label", answer));
  const shown = new Badge(outbox, root);
  const review = new Review(boot, outbox, await outbox.waiting());
  follow(review);
  listen(review, shown, boot.classes);
  outbox.kick();
  if (boot.work) review.next();
  root.dataset.ready = "";
}

start();
