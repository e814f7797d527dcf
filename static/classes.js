// The classes page: every change is previewed by the server while it is typed, and done when it is confirmed.

import { get, post } from "./api.js";
import { formerRow, offeredRow } from "./class-row.js";
import { announce, find, make } from "./dom.js";

const TYPING = 200; // ms without a key after which the preview is asked for
const UNREACHABLE = "The server does not answer; try again.";
const TITLES = {
  add: ["Add a class", "Add"],
  edit: ["Edit", "Change"],
  merge: ["Merge", "Merge"],
  retire: ["Retire", "Retire"],
  restore: ["Bring back", "Bring back"],
  ask: ["Ask again", "Ask again"],
};
const TEXTS = ["name", "key", "colour", "guidance"];

const dialog = find("#change");
const form = find("#change-form");
let state = JSON.parse(find("[data-boot]").dataset.boot);
let open = null; // {action, row} of the dialog
let timer = 0;
let latest = 0; // the preview asked for last: an older one that comes later is dropped

const offered = () => state.rows.filter((row) => row.retired === null && row.merged_into === null);

function draw() {
  const rows = offered();
  const former = state.rows.filter((row) => !rows.includes(row));
  find("#offered").replaceChildren(...rows.map((row, i) => offeredRow(row, i + 1, rows.length, want)));
  find("#former").replaceChildren(...former.map((row) => formerRow(row, want)));
  find("#former-card").hidden = former.length === 0;
  find("#none").hidden = rows.length > 0;
  find("#log").replaceChildren(...state.changes.map(logged));
  find("#no-log").hidden = state.changes.length > 0;
}

function logged({ created, person, text }) {
  const day = new Date(created).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  const when = make("time", { dateTime: created, textContent: day });
  return make("li", {}, text, " ", make("span", { className: "quiet" }, when, ` by ${person}`));
}

// ---- what somebody wants

function want(action, row) {
  if (action === "up" || action === "down") return move(action, row);
  open = { action, row };
  const [title, confirm] = TITLES[action];
  find("#change-title").textContent = row ? `${title}: ${row.name}` : title;
  find("#confirm").textContent = confirm;
  for (const each of form.querySelectorAll("[data-for]"))
    each.hidden = !each.dataset.for.split(" ").includes(action);
  fill(row);
  say([], "");
  dialog.showModal();
  (form.querySelector("[data-for]:not([hidden]) :is(input, select)") ?? find("#confirm")).focus();
  preview();
}

function fill(row) {
  const keys = ["", ...(row?.key ? [row.key] : []), ...state.free_keys];
  const option = (value, text) => make("option", { value, textContent: text });
  find("#key").replaceChildren(...keys.map((key) => option(key, key || "none")));
  find("#key").value = row ? row.key : (state.free_keys[0] ?? "");
  find("#name").value = row?.name ?? "";
  find("#guidance").value = row?.guidance ?? "";
  find("#colour").value = row?.colour || "#808080";
  find("#colourless").checked = !row?.colour;
  const others = offered().filter((each) => each.id !== row?.id);
  const choices = [option("", "choose a class"), ...others.map((each) => option(each.id, each.name))];
  find("#into").replaceChildren(...choices);
}

/** The request; of an edit only what differs, so that an odd old name is no obstacle. */
function wanted() {
  const { action, row } = open;
  const body = { action, class: row?.id ?? null };
  if (action === "merge") body.into = Number(find("#into").value) || null;
  if (action !== "add" && action !== "edit") return body;
  const values = {
    name: find("#name").value,
    key: find("#key").value,
    colour: find("#colourless").checked ? "" : find("#colour").value,
    guidance: find("#guidance").value,
  };
  for (const name of TEXTS) if (!row || values[name] !== row[name]) body[name] = values[name];
  return body;
}

/** Nothing was said yet that could be previewed or refused. */
function isUntouched(body) {
  if (open.action === "edit") return TEXTS.every((name) => !(name in body));
  return (open.action === "add" && !body.name) || (open.action === "merge" && !body.into);
}

async function preview() {
  clearTimeout(timer);
  const mine = ++latest;
  const body = wanted();
  if (isUntouched(body)) return say([], "");
  try {
    const { says } = await post("/api/classes/preview", body);
    if (mine === latest) say(says, "");
  } catch (error) {
    if (mine === latest) say([], error.status ? error.message : UNREACHABLE);
  }
}

function say(lines, refusal) {
  find("#preview").replaceChildren(...lines.map((text) => make("li", { textContent: text })));
  find("#refusal").textContent = refusal;
}

async function confirm(event) {
  event.preventDefault();
  clearTimeout(timer);
  latest += 1;
  find("#confirm").disabled = true;
  try {
    await change(wanted());
    dialog.close();
  } catch (error) {
    say([], error.status ? error.message : UNREACHABLE);
  }
  find("#confirm").disabled = false;
}

async function change(body) {
  const answer = await post("/api/classes/change", body);
  state = answer;
  draw();
  announce(`Done: ${answer.says.join("; ")}.`);
}

async function move(action, row) {
  const place = offered().findIndex((each) => each.id === row.id) + 1 + (action === "up" ? -1 : 1);
  try {
    await change({ action: "move", class: row.id, place });
  } catch (error) {
    announce(error.status ? error.message : UNREACHABLE);
  }
  focusOn(row.id, action);
}

/** The list was drawn anew: the focus stays with the class, on the same button where that is possible. */
function focusOn(id, action) {
  const entry = find(`li[data-class="${id}"]`);
  const same = entry && find(`[data-action="${action}"]:enabled`, entry);
  (same ?? (entry && find("button:enabled", entry)) ?? find("#add")).focus();
}

find("#add").onclick = () => want("add", null);
find("#cancel").onclick = () => dialog.close();
find("#colour").addEventListener("input", () => (find("#colourless").checked = false));
form.addEventListener("submit", confirm);
form.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(preview, TYPING);
});
dialog.addEventListener("close", () => (open.row ? focusOn(open.row.id, open.action) : find("#add").focus()));
document.addEventListener("visibilitychange", async () => {
  if (document.hidden || dialog.open) return;
  state = await get("/api/classes/all").catch(() => state); // somebody else may have changed something
  if (!dialog.open) draw();
});
draw();
