// The label page: keys, clicks, dialogs and the pulse around Labeling.

import { farewell, get, post } from "./api.js";
import { Badge } from "./badge.js";
import { ClassFilter } from "./class-filter.js";
import { withWaiting } from "./decisions.js";
import { announce, find, whileVisible } from "./dom.js";
import { Examples } from "./examples.js";
import { commandFor, placeOf } from "./keys.js";
import { Labeling } from "./labeling.js";
import { openOutbox } from "./outbox.js";
import { badge } from "./words.js";

const PULSE = 2_000; // ms between heartbeats
const LONG_AWAY = 30_000; // ms hidden after which our claims may have run out
const AFTER_SAVING = 250; // ms; one look at the status after a burst of answers
const TROUBLE = new Set(["offline", "refused", "stuck"]); // phases worth saying aloud

function listen(labeling, shown) {
  const examples = new Examples(find("#examples"), find("#example-filter"));
  const filter = new ClassFilter(find("#class-filter"), find(".classes"));
  const commands = {
    class: ({ class: row }) => labeling.answer("label", row.id),
    accept: () => labeling.accept(),
    skip: () => labeling.answer("skip"),
    unsure: () => labeling.answer("unsure"),
    flag: () => labeling.answer("flag"),
    undo: () => labeling.undo(),
    older: () => labeling.step(1),
    newer: () => labeling.step(-1),
    present: () => labeling.back(),
    closer: () => labeling.view.loupe.closer(),
    farther: () => labeling.view.loupe.farther(),
    toggle: () => labeling.view.loupe.toggle(),
    brighten: () => labeling.view.loupe.brighten(),
    pan: ({ right, down }) => labeling.view.loupe.pan(right, down),
    filter: () => filter.focus(),
    help: () => {
      find("#help").showModal();
      examples.show(labeling.boot.classes);
    },
    outbox: () => shown.open(),
    ignore: () => {},
  };
  document.addEventListener("keydown", (event) => {
    const dialog = find("dialog[open]");
    if (dialog) return event.key === "?" && placeOf(event.target) !== "field" && dialog.close();
    const command = commandFor(event, labeling.boot.classes, placeOf(event.target));
    if (!command) return;
    event.preventDefault();
    commands[command.name](command);
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-command]");
    if (!button) return;
    if (event.detail > 0) button.blur(); // after a click Enter and space belong to the page again
    if (event.detail > 1 && labeling.unseen && !button.closest(".loupe")) return; // a double click is one answer
    commands[button.dataset.command]({ class: labeling.classOf(Number(button.dataset.class)) });
  });
}

/** Looks at the status soon after answers have reached the server, so that the counts follow the keys. */
function followSaving(labeling) {
  let timer = 0;
  let phase = "";
  labeling.outbox.addEventListener("change", () => {
    const { state } = labeling.outbox;
    if (state.phase !== phase && TROUBLE.has(state.phase)) announce(badge(state).long);
    phase = state.phase;
    if (phase !== "saved") return;
    clearTimeout(timer);
    timer = setTimeout(() => look(labeling).catch(() => {}), AFTER_SAVING); // the next heartbeat tells as well
  });
}

async function look(labeling) {
  await labeling.news((await get("/api/status")).status);
  await labeling.olderAnswers();
}

function comeAndGo(labeling) {
  let hidden = 0;
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) hidden = Date.now();
    else if (hidden && Date.now() - hidden > LONG_AWAY) labeling.prefetch.refresh().catch(() => {});
  });
  addEventListener("beforeunload", (event) => {
    if (labeling.outbox.state.fleeting > 0) event.preventDefault(); // they would be gone
  });
  addEventListener("pagehide", () => farewell("/api/release", { tab: labeling.tab, images: null }));
  addEventListener("pageshow", (event) => event.persisted && location.reload()); // its claims were given back
}

async function start() {
  const boot = JSON.parse(find("[data-boot]").dataset.boot);
  const outbox = await openOutbox(`${boot.project.id} ${boot.person}`, (answer) =>
    post("/api/label", answer),
  );
  const decisions = withWaiting(boot.history, await outbox.waiting());
  const labeling = new Labeling(boot, outbox, decisions);
  listen(labeling, new Badge(outbox, labeling.view.root));
  followSaving(labeling);
  comeAndGo(labeling);
  outbox.kick();
  labeling.draw();
  whileVisible(() => labeling.pulse(), PULSE); // the status first: it tells which ranking the claims are from
}

start();
