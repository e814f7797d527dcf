// The buttons of the classes on the label page: colour and guidance for those that are there, all anew after a change.

import { make } from "./dom.js";

/** Colour and guidance of a class on its button. */
export function dress(button, { colour, guidance }) {
  button.classList.toggle("coloured", Boolean(colour));
  if (colour) button.style.setProperty("--colour", colour);
  button.querySelector(".guidance")?.remove();
  if (guidance) button.append(make("span", { className: "guidance", textContent: guidance }));
}

/** The list with a button for each class, in their order, as the server draws it. */
export function renew(list, rows) {
  list.classList.toggle("many", rows.length > 12);
  list.replaceChildren(...rows.map((row) => make("li", {}, classButton(row))));
}

function classButton(row) {
  const span = (className, textContent = "") => make("span", { className, textContent });
  const key = make("kbd", { textContent: row.key, hidden: !row.key });
  const parts = [key, span("name", row.name), span("hint"), span("share"), span("bar")];
  parts.at(-1).ariaHidden = "true";
  const button = make("button", { type: "button", className: "class" }, ...parts);
  Object.assign(button.dataset, { needsImage: "", command: "class", class: row.id });
  if (row.key) button.setAttribute("aria-keyshortcuts", row.key);
  return button;
}
