// The files page: sends images one by one, starts a look for new ones, and tells how far both are.

import { farewell, get, post } from "./api.js";
import { announce, find, make, whileVisible } from "./dom.js";
import { part } from "./words.js";

const POLL = 1_500; // ms
const PATIENCE = 600_000; // ms, for one file
const section = find("#add");
const limit = Number(section.dataset.limit);

let sending = false;
let unseen = false; // files were sent that nobody looked for yet
let looking = false;

function bar(done, total) {
  Object.assign(find("#bar"), { hidden: total === 0, max: total || 1, value: done });
}

function trouble(error) {
  find("#trouble").textContent = error.status ? error.message : "The server does not answer; try again.";
}

const refuse = (name, reason) => find("#refused").append(make("li", {}, `${name}: ${reason}`));

/** How many were stored: 1 or 0. */
async function send(file) {
  if (file.size > limit) {
    refuse(file.name, `larger than ${limit / 2 ** 20} MB`);
    return 0;
  }
  const form = new FormData();
  form.append("files", file);
  const { stored, refused } = await post("/api/upload", form, PATIENCE);
  for (const { name, reason } of refused) refuse(name, reason);
  return stored.length;
}

async function sendAll(files) {
  if (sending || files.length === 0) return;
  sending = true;
  find("#refused").replaceChildren();
  find("#trouble").textContent = "";
  let stored = 0;
  try {
    for (const [number, file] of files.entries()) {
      bar(number, files.length);
      announce(`Sending file ${number + 1} of ${files.length}.`);
      stored += await send(file);
      unseen = stored > 0;
    }
  } catch (error) {
    trouble(error);
  }
  sending = false;
  bar(0, 0);
  announce(`${stored} of ${files.length} files stored.`);
  if (unseen) await look();
}

/** Start a look for new images. */
async function look() {
  try {
    await post("/api/rescan", {});
    unseen = false;
    looking = true;
    again();
  } catch (error) {
    trouble(error);
  }
}

async function poll() {
  const { status } = await get("/api/status");
  find("#images").textContent = status.images.toLocaleString("en");
  find("#problems").textContent = status.problems.toLocaleString("en");
  if (sending) return;
  const { importing } = status;
  bar(importing?.done ?? 0, importing?.total ?? 0);
  if (importing) {
    announce(importing.error ?? `Looking for new images${part(importing) ? `: ${part(importing)}` : ""}.`);
  } else if (looking) {
    const all = make("a", { href: "/files" }, "Show the lists again");
    announce(`Done: ${status.images.toLocaleString("en")} images, ${status.problems.toLocaleString("en")} set aside. `);
    find("#said").append(all);
  }
  looking = importing !== null;
}

find("#hint").hidden = false;
find("#upload").addEventListener("submit", async (event) => {
  event.preventDefault();
  const field = find("#files");
  await sendAll([...field.files]);
  field.value = "";
});
find("#rescan").addEventListener("submit", (event) => {
  event.preventDefault();
  find("#trouble").textContent = "";
  announce("Looking for new images.");
  look();
});
section.addEventListener("dragover", (event) => {
  event.preventDefault();
  section.classList.add("over");
});
section.addEventListener("dragleave", () => section.classList.remove("over"));
section.addEventListener("drop", (event) => {
  event.preventDefault();
  section.classList.remove("over");
  sendAll([...event.dataTransfer.files]);
});
addEventListener("pagehide", () => unseen && farewell("/api/rescan", {}));
const again = whileVisible(poll, POLL);
