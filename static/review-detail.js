// One image closely: the picture, what stands, what the model thinks, and who said what. Draws, decides nothing.

import { find, make } from "./dom.js";
import { said } from "./review-grid.js";
import { share, verdict } from "./words.js";

const CRISP = 64; // px
const VIAS = { accepted: "took the suggestion", bulk: "together with others", import: "from a file" };

export class Detail {
  dialog = find("#detail");
  #name;
  image = null; // the one that is or was shown

  constructor(name) {
    this.#name = name;
  }

  get isOpen() {
    return this.dialog.open;
  }

  /** What the grid knows of the image, at once. */
  show(item) {
    if (!this.isOpen) this.dialog.showModal();
    if (this.image !== item.image) this.#another(item);
    const state = make("strong", { textContent: said(item, this.#name) });
    find("#detail-state").replaceChildren(item.class === null ? "Status: " : "Label: ", state);
    for (const button of this.dialog.querySelectorAll("button[data-class]"))
      button.ariaPressed = String(Number(button.dataset.class) === item.class);
  }

  #another(item) {
    this.image = item.image;
    const picture = find("#detail-picture");
    Object.assign(picture, { src: item.url, alt: "The image", width: item.width, height: item.height });
    picture.classList.toggle("crisp", Math.max(item.width, item.height) < CRISP);
    const like = find("#detail-like");
    if (like) like.href = `${like.pathname}?like=${item.image}`;
    find("#detail-name").textContent = item.names.join(", ") || `Image ${item.image}`;
    find("#detail-history").replaceChildren();
    find("#detail-opinion").textContent = "";
    this.say("");
    this.#shares([]);
  }

  /** What only the server knows: reply of /api/review/ID. */
  tell({ item, probs, history }) {
    if (item.image !== this.image) return;
    const likely = probs.filter(({ probability }, i) => i === 0 || probability >= 0.005).map((row) => `${this.#name(row.class)} (${share(row.probability)})`).join(", ");
    find("#detail-opinion").textContent = likely
      ? `The model of round ${item.model} thinks: ${likely}.`
      : "The model has not looked at this image.";
    this.#shares(probs);
    const lines = history.map((row) => line(row, this.#name));
    find("#detail-history").replaceChildren(...(lines.length ? lines : [make("li", {}, "No answer yet.")]));
  }

  say(text) {
    find("#detail-said").textContent = text;
  }

  #shares(probs) {
    const known = new Map(probs.map((row) => [row.class, row.probability]));
    for (const button of this.dialog.querySelectorAll("button[data-class]")) {
      const probability = known.get(Number(button.dataset.class)) ?? 0;
      find(".share", button).textContent = probability >= 0.01 ? share(probability) : "";
      button.style.setProperty("--share", probability);
    }
  }
}

/** One answer: what, who, when, how; struck through when it was taken back. */
function line(row, name) {
  const what = verdict({ kind: row.kind, class: row.class_id }, name);
  const answer = make(row.undone ? "del" : "strong", { textContent: what });
  const facts = [how(row), suggestion(row, name), row.late && "late", row.undone && `taken back ${date(row.undone)}`];
  const time = make("time", { dateTime: row.created, textContent: date(row.created) });
  const rest = facts.filter(Boolean).map((fact) => ` · ${fact}`);
  return make("li", {}, answer, ` ${row.person} · `, time, make("span", { className: "quiet" }, ...rest));
}

function how({ source, round, via, seconds }) {
  const asked = round === null ? source : `${source}, round ${round}`;
  const took = seconds === null ? "" : `${seconds.toFixed(1)} s`;
  return [asked, VIAS[via], took].filter(Boolean).join(" · ");
}

function suggestion({ suggested_id: id, suggestion_shown: shown }, name) {
  return id === null ? "" : `suggested was ${name(id)}${shown ? "" : " (not shown)"}`;
}

const date = (text) => new Date(text).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
