// One class in the list of the classes page. Names only ever become text.

import { make } from "./dom.js";

/** A list entry; `on(action, row)` is called when somebody wants something. `place` counts from 1. */
export function offeredRow(row, place, count, on) {
  const moves = [
    button(row, "up", "↑", `Move ${row.name} up`, place > 1, on),
    button(row, "down", "↓", `Move ${row.name} down`, place < count, on),
  ];
  const buttons = [
    button(row, "edit", "Edit", `Edit ${row.name}`, true, on),
    button(row, "merge", "Merge", `Merge ${row.name} into another class`, true, on),
    button(row, "retire", "Retire", `Retire ${row.name}`, true, on),
    askButton(row, on),
  ];
  const key = make("kbd", { textContent: row.key || "–", title: row.key ? "its key" : "no key" });
  return entry(row, [make("span", { className: "moves" }, ...moves), key, swatch(row.colour), about(row), actions(buttons)]);
}

/** A retired or merged one. */
export function formerRow(row, on) {
  const what = row.merged_into === null ? "retired" : `merged into ${row.into_name}`;
  const buttons = [button(row, "restore", "Bring back", `Bring ${row.name} back`, true, on)];
  if (row.merged_into === null) {
    buttons.unshift(button(row, "merge", "Merge", `Merge ${row.name} into another class`, true, on));
    buttons.push(askButton(row, on));
  }
  return entry(row, [swatch(row.colour), about(row, what), actions(buttons)]);
}

const askButton = (row, on) =>
  button(row, "ask", "Ask again", `Ask the images of ${row.name} again`, row.labels > 0, on);

function entry(row, children) {
  const element = make("li", {}, ...children);
  element.dataset.class = row.id;
  return element;
}

function about(row, what = "") {
  const count = row.labels === 1 ? "1 image" : `${row.labels.toLocaleString("en")} images`;
  const counted = row.merged_into === null ? count : "";
  return make(
    "div",
    { className: "about" },
    make("span", { className: "name", textContent: row.name }),
    make("span", { className: "quiet", textContent: [what, counted].filter(Boolean).join(" · ") }),
    ...(row.guidance ? [make("span", { className: "guidance quiet", textContent: row.guidance })] : []),
  );
}

function swatch(colour) {
  const element = make("span", { className: "swatch", ariaHidden: "true" });
  if (colour) element.style.setProperty("--colour", colour);
  return element;
}

const actions = (buttons) => make("div", { className: "buttons" }, ...buttons);

function button(row, action, text, label, possible, on) {
  const element = make("button", {
    type: "button",
    className: "button small",
    textContent: text,
    ariaLabel: label,
    disabled: !possible,
  });
  element.dataset.action = action;
  element.onclick = () => on(action, row);
  return element;
}
