// The settings page: shows the fields of what is chosen, and sends what differs from the usual.

import { post } from "./api.js";
import { announce, find } from "./dom.js";

const form = find("#settings");
const KINDS = ["method", "strategy"];

const chosen = (kind) => find(`input[name="${kind}"]:checked`, form).value;
const part = (kind) => find(`[data-${kind}="${CSS.escape(chosen(kind))}"]`, form);

/** Only the fields of the chosen method and strategy are there. */
function show() {
  for (const kind of KINDS) {
    for (const details of form.querySelectorAll(`[data-${kind}]`)) details.hidden = details !== part(kind);
  }
}

/** name -> text of the fields that say something; an empty one means the usual. */
function values(root) {
  const fields = root ? [...root.querySelectorAll("input, select")] : [];
  const said = fields.map(({ name, value }) => [name, value.trim()]).filter(([, value]) => value);
  return Object.fromEntries(said);
}

async function save(event) {
  event.preventDefault();
  find("#save").disabled = true;
  find("#trouble").textContent = "";
  announce("");
  const parts = ["loop", "asking", "together"];
  const body = Object.fromEntries(parts.map((name) => [name, values(find(`[data-${name}]`, form))]));
  for (const kind of KINDS) {
    body[kind] = chosen(kind);
    body[`${kind}_settings`] = values(part(kind));
  }
  try {
    const { method, strategy } = await post("/api/settings", body);
    announce(`Saved: learns by ${method}, asks by ${strategy}, from the next round on.`);
  } catch (error) {
    find("#trouble").textContent = error.status ? error.message : "The server does not answer; try again.";
  }
  find("#save").disabled = false;
}

form.addEventListener("change", show);
form.addEventListener("submit", save);
show();
