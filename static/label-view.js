// Draws the label page. Knows elements and sentences, decides nothing. Names of classes only ever become text.

import { dress, renew } from "./class-buttons.js";
import { announce, find, make } from "./dom.js";
import { Loupe } from "./loupe.js";
import { learnerLine, share, verdict, why } from "./words.js";

const CRISP = 64; // px; smaller pictures are scaled up with hard edges
const FLASH = 160; // ms
const MANY = 20; // classes from which on they are filtered by typing
const LARGE = 4096; // px; the largest picture that the server makes, for the loupe

export class View {
  root = find("[data-boot]");
  #names;
  #buttons;
  #thumbnails = new Map(); // uuid -> element of the strip
  #entry = null; // on the screen
  #possible = false;
  loupe = new Loupe(find(".stage"), find("#picture"), { say: announce, onCloser: () => this.#sharpen() });

  constructor(boot) {
    this.#knowClasses(boot);
  }

  /** The classes are others now. */
  classes(boot) {
    renew(find(".classes", this.root), boot.classes);
    find(".filter", this.root).hidden = boot.classes.length <= MANY;
    this.#knowClasses(boot);
    this.#thumbnails.clear(); // their captions are names
    this.#enable(this.#possible);
  }

  #knowClasses({ classes, names }) {
    this.#names = new Map(Object.entries(names).map(([id, name]) => [Number(id), name]));
    const buttons = this.root.querySelectorAll("button[data-class]");
    this.#buttons = new Map(Array.from(buttons, (button) => [Number(button.dataset.class), button]));
    this.order = classes.map((row) => row.id);
    for (const row of classes) dress(this.#buttons.get(row.id), row);
  }

  name = (id) => this.#names.get(id) ?? "a class that is gone";

  /** `past` is the decision being looked at again, or null; `importing` as in the status. */
  show(entry, past, importing) {
    const { item, picture, ready } = entry;
    const stage = find("#picture");
    if (this.#entry !== entry) this.loupe.reset();
    this.#entry = entry;
    stage.replaceChildren(...(ready ? [picture] : []));
    stage.hidden = false;
    find("#empty").hidden = true;
    picture.classList.toggle("crisp", Math.max(picture.naturalWidth, picture.naturalHeight) < CRISP);
    this.#mark(item, past);
    this.#suggest(item.suggestion, past);
    find("#why").replaceChildren(...(past ? this.#again(past) : this.#reason(item, importing)));
    this.#enable(true); // even while the picture loads: a disabled button would lose the focus
  }

  /** Nothing to label: why, and what to do. */
  empty(title, text) {
    this.#entry = null;
    this.loupe.reset();
    find("#picture").replaceChildren();
    find("#picture").hidden = true;
    find("#empty").hidden = false;
    find("#empty-title").textContent = title;
    find("#empty-text").textContent = text;
    find("#why").textContent = "";
    this.#mark(null, null);
    this.#suggest(null, null);
    this.#enable(false);
  }

  flash(id) {
    const button = this.#buttons.get(id);
    button?.classList.add("chosen");
    setTimeout(() => button?.classList.remove("chosen"), FLASH);
  }

  queue(length) {
    this.root.dataset.queue = length;
  }

  /** `pick(decision)` is called when somebody clicks a thumbnail; `at` = uuid of the one on the screen. */
  past(decisions, at, pick) {
    const known = this.#thumbnails;
    this.#thumbnails = new Map(
      decisions.map((each) => [each.uuid, known.get(each.uuid) ?? this.#thumbnail(each, pick)]),
    );
    for (const [uuid, element] of this.#thumbnails)
      element.firstChild.ariaCurrent = uuid === at ? "true" : null;
    const strip = find("#past");
    const elements = [...this.#thumbnails.values()];
    const same =
      strip.children.length === elements.length && elements.every((each, i) => each === strip.children[i]);
    if (!same) strip.replaceChildren(...elements); // moving an element would take the focus from it
    find("#no-past").hidden = decisions.length > 0;
  }

  status(status) {
    const { query, audit } = status;
    this.root.dataset.round = query.round;
    this.root.dataset.ranking = status.ranking;
    find("#round").textContent = `round ${query.round + 1}`; // the one that these answers make
    Object.assign(find("#round-bar"), {
      max: Math.max(query.size, 1),
      value: Math.min(query.answered, query.size),
    });
    find("#round-count").textContent = `${query.answered}/${query.size}`;
    find("#audit").textContent =
      audit.labeled < audit.needed ? `audit ${audit.labeled} of ${audit.needed}` : `audit ${audit.labeled}`;
    find("#audit").hidden = audit.size === 0;
    find("#learner").textContent = learnerLine(status);
    find("#learner").classList.toggle("trouble", Boolean(status.learner.error));
  }

  /** Under the loupe a large photograph is asked for again, with all its pixels; the small one stays until it is here. */
  #sharpen() {
    const entry = this.#entry;
    const shown = find("#picture img");
    if (!entry || !shown || entry.asked || (entry.item.width ?? 0) <= entry.picture.naturalWidth) return;
    entry.asked = true;
    const large = Object.assign(new Image(), { src: sized(entry.item.url, LARGE), alt: shown.alt, draggable: false });
    const show = () => {
      entry.picture = large; // what is drawn from now on
      if (this.#entry === entry) find("#picture").replaceChildren(large);
    };
    large.decode().then(show, () => {}); // then the small one has to do
  }

  #mark(item, past) {
    const suggestion = item?.suggestion;
    Object.assign(this.root.dataset, {
      image: item?.image ?? "",
      source: item?.source ?? "",
      suggested: suggestion?.class ?? "",
      model: suggestion?.model ?? "",
      viewing: past ? "past" : "present",
    });
  }

  #enable(possible) {
    this.#possible = possible;
    for (const element of this.root.querySelectorAll("[data-needs-image]")) element.disabled = !possible;
  }

  #suggest(suggestion, past) {
    this.order.forEach((id) => {
      const button = this.#buttons.get(id);
      const probability = suggestion?.probs[id];
      button.classList.toggle("suggested", suggestion?.class === id);
      button.ariaPressed = past ? String(past.kind === "label" && past.class === id) : null;
      find(".share", button).textContent = probability >= 0.01 ? share(probability) : "";
      find(".hint", button).textContent = suggestion?.class === id ? "suggested" : "";
      button.style.setProperty("--share", probability ?? 0);
    });
    find("#accept").disabled = !suggestion;
  }

  #reason(item, importing) {
    return [
      make("span", { className: "quiet", textContent: "Why this image: " }),
      why(item, this.name, importing),
    ];
  }

  #again(past) {
    const said = make("strong", { textContent: verdict(past, this.name) });
    return ["You answered ", said, ". Another answer corrects it; Esc goes back."];
  }

  #thumbnail(decision, pick) {
    const text = verdict(decision, this.name);
    const picture = make("img", {
      src: sized(decision.url, 96),
      alt: "",
      width: 56,
      height: 56,
      decoding: "async",
    });
    picture.onload = () => picture.classList.toggle("crisp", picture.naturalWidth < CRISP);
    const caption = make("span", { className: "verdict", textContent: text });
    const button = make(
      "button",
      { type: "button", title: `${text}: click to correct it` },
      picture,
      caption,
    );
    Object.assign(button.dataset, { uuid: decision.uuid, kind: decision.kind });
    button.onclick = () => pick(decision);
    return make("li", {}, button);
  }
}

/** The address of the picture with at most so many pixels on a side: full sizes for a strip would fill the memory. */
function sized(url, side) {
  const address = new URL(url, location);
  address.searchParams.set("size", side);
  return address.href;
}
