// Labeling: one image, one answer, the next image. The network is never waited for.

import { get, post } from "./api.js";
import { SHOWN } from "./decisions.js";
import { Stopwatch, announce, uuid } from "./dom.js";
import { View } from "./label-view.js";
import { Prefetch, load } from "./prefetch.js";
import { compared, verdict } from "./words.js";

const UNREACHABLE =
  "What you answered is kept in this browser and sent when the server is back. This page tries by itself.";

const DOUBLE_CLICK = 0.5; // s, the longest that systems take for one

export class Labeling {
  tab = uuid(); // not in sessionStorage: a duplicated tab would copy it
  present = null; // the entry to label
  past = null; // {entry, decision}: an answer being looked at again
  status = null;
  #watch = new Stopwatch();
  #undone = false;

  constructor(boot, outbox, decisions) {
    Object.assign(this, { boot, outbox, decisions });
    this.view = new View(boot);
    this.prefetch = new Prefetch({
      claim: (count, have) => post("/api/next", { tab: this.tab, count, have }),
      release: (images) => post("/api/release", { tab: this.tab, images }),
      elsewhere: () => [this.present?.item.image, ...outbox.images.values()].filter(Boolean),
    });
  }

  get shown() {
    return this.past?.entry ?? this.present;
  }

  /** Too new on the screen for the second click of a double click to mean it. */
  get unseen() {
    return this.#watch.seconds() < DOUBLE_CLICK;
  }

  /** The class of this id as it is offered now. */
  classOf(id) {
    return this.boot.classes.find((row) => row.id === id);
  }

  // ---- answers

  answer(kind, id = null, via = "typed") {
    const { item, ready } = this.shown ?? {};
    if (!ready) return; // nobody can have seen it
    const decision = { uuid: uuid(), image: item.image, url: item.url, kind, class: id, item };
    this.outbox.add({ ...this.#about(item, decision), via }, item.url);
    this.decisions.add(decision);
    if (id !== null) this.view.flash(id);
    announce(`${this.past ? "Corrected" : "Answered"}: ${verdict(decision, this.view.name)}${compared(decision, this.view.name)}`);
    if (this.past) this.#leavePast();
    else this.#next();
    this.draw();
  }

  accept() {
    const suggestion = this.shown?.item.suggestion;
    if (suggestion && this.classOf(suggestion.class)) this.answer("label", suggestion.class, "accepted");
    else announce("There is no suggestion for this image: press the key of its class.");
  }

  /** Takes the latest answer back and asks its image again. */
  undo() {
    const decision = this.decisions.undo();
    if (!decision) return announce("There is nothing left to undo.");
    const item = decision.item ?? { ...decision, source: "history", suggestion: null };
    const taken = this.#about(item, { uuid: uuid(), kind: "undo", class: null });
    this.outbox.add({ ...taken, undoes: decision.uuid }, item.url);
    this.#undone = true;
    if (this.present) this.prefetch.putBack(this.present);
    this.past = null;
    this.present = load(item);
    this.#whenReady(this.present);
    announce(`Taken back: ${verdict(decision, this.view.name)}`);
    this.draw();
  }

  #about(item, { uuid, kind, class: id }) {
    const suggestion = item.suggestion;
    const expected = suggestion ?? item.unshown; // kept either way, so that both can be compared
    return {
      tab: this.tab,
      uuid,
      image: item.image,
      kind,
      class: id,
      via: "typed",
      undoes: null,
      seconds: Math.round(this.#watch.seconds() * 1000) / 1000,
      suggested: expected?.class ?? null,
      shown: Boolean(suggestion),
      model: expected?.model ?? null,
    };
  }

  // ---- walking through the last answers

  step(direction) {
    const standing = this.decisions.standing();
    const here = standing.findIndex((each) => each.uuid === this.past?.decision.uuid);
    const there = here + direction;
    if (there >= standing.length)
      return announce("These are the last answers; older ones are not kept here.");
    if (there < 0) return this.back();
    this.look(standing[there]);
  }

  look(decision) {
    const item = { image: decision.image, url: decision.url, source: "history", suggestion: null };
    this.past = { entry: load(item), decision };
    this.#whenReady(this.past.entry);
    announce(`Answered before: ${verdict(decision, this.view.name)}`);
    this.draw();
  }

  back() {
    if (!this.past) return;
    this.#leavePast();
    announce("Back at the image to label.");
    this.draw();
  }

  #leavePast() {
    this.past = null;
    this.#watch.start();
  }

  // ---- images

  #next() {
    this.present = this.prefetch.take() ?? null;
    if (this.present) this.#whenReady(this.present);
    this.refill();
  }

  #whenReady(entry) {
    this.#watch.start();
    if (entry.ready) return;
    entry.loaded.then(
      () => entry === this.shown && (this.#watch.start(), this.draw()),
      () => this.#unloadable(entry),
    );
  }

  #unloadable(entry) {
    announce("A picture could not be loaded; it goes back into the queue.");
    if (entry === this.past?.entry) return this.back();
    if (entry !== this.present) return;
    this.prefetch.giveBack(entry);
    this.#next();
    this.draw();
  }

  /** Keeps images at hand, and says why when there are none. Never rejects. */
  async refill() {
    const waiting = await this.prefetch.fill().catch(noReply);
    if (this.present === null && this.prefetch.entries.length > 0) this.#next();
    this.view.queue(this.prefetch.entries.length);
    if (this.present !== null) return this.draw();
    const title = waiting === UNREACHABLE ? "The server does not answer" : "Nothing to label right now";
    this.view.empty(title, waiting ?? "The next images are on their way.");
  }

  // ---- the server's news

  async pulse() {
    const images = [this.present?.item.image, ...this.prefetch.images].filter(Boolean);
    const reply = await post("/api/heartbeat", { tab: this.tab, images }).catch(() => null);
    if (reply) await this.news(reply.status);
    if (reply) this.outbox.kick(); // another tab may have closed with answers that wait
    await this.refill();
  }

  async news(status) {
    const before = this.status?.ranking ?? status.ranking;
    this.status = status;
    this.view.status(status);
    if (status.classes !== this.boot.version) await this.newClasses();
    if (status.ranking !== before) await this.newRanking();
  }

  /** Somebody changed the classes: the buttons, keys and names follow. At the next news again if that fails. */
  async newClasses() {
    const reply = await get("/api/classes").catch(() => null);
    if (!reply) return;
    const { version, classes, names } = reply;
    Object.assign(this.boot, { version, classes, names });
    this.view.classes(this.boot);
    announce("The classes have changed.");
    this.draw();
    await this.prefetch.refresh().catch(() => {}); // the suggestions are of the classes from before
  }

  async newRanking() {
    announce("The model has learned from your answers and asks new questions.");
    await this.prefetch.refresh().catch(() => {}); // the old images are as good until the server answers
    await this.refill();
  }

  /** After an undo the strip is short: the server knows older answers. */
  async olderAnswers() {
    if (!this.#undone || this.decisions.standing().length >= SHOWN) return;
    const { history } = await get("/api/history");
    if (this.outbox.state.kept > 0 || this.past) return; // it does not know them all yet
    this.#undone = false;
    this.decisions.renew(history);
    this.draw();
  }

  draw() {
    if (this.shown) this.view.show(this.shown, this.past?.decision ?? null, this.status?.importing);
    this.view.queue(this.prefetch.entries.length);
    this.view.past(this.decisions.standing(), this.past?.decision.uuid, (decision) => this.look(decision));
  }
}

const noReply = (error) => (error.status ? error.message : UNREACHABLE);
