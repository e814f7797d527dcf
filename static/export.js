// The export page: shows the settings of the chosen format, the command that does the same, and a sample.

import { get } from "./api.js";
import { announce, find } from "./dom.js";

const form = find("#export");
let last = 0; // the newest request for a preview: what comes late is not shown

const chosen = () => find("input[name=format]:checked", form);
const asked = () => new URLSearchParams([...new FormData(form)].filter(([, value]) => value));

/** Only what the chosen format has; what is hidden is not sent. */
function show() {
  const { value, dataset } = chosen();
  for (const part of form.querySelectorAll("[data-format]")) part.hidden = part.disabled = part.dataset.format !== value;
  const none = "noLabels" in dataset;
  find("#filters").hidden = none;
  for (const field of form.querySelectorAll("#filters :is(input, select), #manifest")) field.disabled = none;
  const unlabeled = find("[name=unlabeled]", form);
  if (!none) unlabeled.disabled = "labeledOnly" in dataset;
}

async function preview() {
  const mine = ++last;
  try {
    const { command, sample, files } = await get(`/api/export?${asked()}`);
    if (mine !== last) return;
    fill(command, sample, "");
    announce(files === null ? "" : `${files} ${files === 1 ? "file" : "files"}`);
  } catch (error) {
    if (mine !== last) return;
    fill("", "", error.status ? error.message : "The server does not answer; try again.");
    announce("");
  }
}

function fill(command, sample, trouble) {
  find("#command").textContent = command;
  find("#sample").textContent = sample;
  find("#trouble").textContent = trouble;
  find(".preview").hidden = !command;
  find("#download").disabled = Boolean(trouble);
}

/** The clipboard is closed to pages that came without HTTPS from elsewhere: then the text is selected. */
async function copy() {
  const command = find("#command");
  try {
    await navigator.clipboard.writeText(command.textContent);
    announce("Copied.");
  } catch {
    getSelection().selectAllChildren(command);
    announce("Selected: copy it with Ctrl C.");
  }
}

form.addEventListener("change", () => {
  show();
  preview();
});
find("#copy").addEventListener("click", copy);
show();
preview();
