// The progress page: polls while it is looked at, and draws what changed.

import { get, post } from "./api.js";
import { Curve } from "./curve.js";
import { announce, find, make, whileVisible } from "./dom.js";
import { part, percent } from "./words.js";

const POLL = 2_000; // ms
const EXAMS = { test: "test set", audit: "audit" };

const curve = new Curve(find("#curve"), (text) => (find("#reading").textContent = text));
let drawn = "";
let paused = false;
let needed = 30; // audit answers from which on an accuracy is shown

function draw({ status, classes, rounds, anchoring }) {
  drawFigures(status);
  drawLearner(status.learner);
  needed = status.audit.needed;
  show("#importing", reading(status));
  show("#anchoring", anchored(anchoring));
  const now = JSON.stringify([classes, rounds]);
  if (now === drawn) return;
  drawn = now;
  drawClasses(classes);
  drawRounds(rounds);
  drawCurve(rounds);
}

function drawFigures({ labels, pool, accuracy, audit }) {
  find("#labels").textContent = labels.toLocaleString("en");
  find("#pool").textContent = pool.toLocaleString("en");
  find("#accuracy-of").textContent = accuracy
    ? `accuracy (${EXAMS[accuracy.exam] ?? accuracy.exam})`
    : "accuracy";
  find("#accuracy").textContent = accuracy ? percent(accuracy.value) : "–";
  const missing = audit.labeled < audit.needed
    ? `${audit.labeled} of ${audit.needed} audit answers`
    : "measured after the next round";
  find("#accuracy-note").textContent = accuracy
    ? `${percent(accuracy.low)} to ${percent(accuracy.high)}, on ${accuracy.n} images`
    : missing;
}

function drawLearner(learner) {
  paused = learner.paused;
  find("#doing").textContent = doing(learner);
  const bar = find("#doing-bar");
  bar.hidden = !(learner.alive && learner.total > 0);
  Object.assign(bar, { max: learner.total || 1, value: learner.done });
  show("#trouble", trouble(learner));
  Object.assign(find("#pause"), {
    disabled: false,
    textContent: paused ? "Resume learning" : "Pause learning",
  });
}

function doing({ alive, paused, activity, done, total }) {
  if (paused) return "Paused. Labeling goes on; your answers are learned from as soon as you resume.";
  if (!alive) return activity === "not started" ? "Starting." : "The learning process is not running.";
  if (activity === "ready") return "Up to date: waiting for your answers.";
  const amount = total > 0 ? `, ${Math.floor((100 * done) / total)} %` : "";
  return activity.charAt(0).toUpperCase() + activity.slice(1) + amount;
}

function trouble({ error, restarts }) {
  const times = restarts === 1 ? "once" : `${restarts} times`;
  const again = restarts ? `The learning process was started again ${times}.` : "";
  return error ? `${error.replace(/\.?$/, ".")} ${again}`.trim() : again;
}

function reading({ importing, problems }) {
  if (!importing) return "";
  return (
    importing.error ?? `Reading the images: ${part(importing) || "looking for them"}; ${problems} set aside.`
  );
}

/** Do suggestions pull? The answers that agree with them, where they are seen and where they are not. */
function anchored(found) {
  if (!found) return "";
  const said = ({ share, low, high, n }) => `${percent(share)} (${percent(low)} to ${percent(high)}, ${n} answers)`;
  return `Answers that agree with the model's suggestion: ${said(found.shown)} where it was shown, ${said(found.hidden)} where it was hidden.`;
}

function drawClasses(classes) {
  const most = Math.max(1, ...classes.map((row) => row.labels));
  const row = ({ name, labels }) => {
    const bar = make("span", { className: "bar", ariaHidden: "true" });
    bar.style.setProperty("--share", labels / most);
    return make(
      "tr",
      {},
      header(make("span", { className: "name", textContent: name })),
      make("td", {}, bar, make("span", { className: "count", textContent: labels })),
    );
  };
  find("#classes").replaceChildren(...classes.map(row));
}

function drawRounds(rounds) {
  const newest = [...rounds].reverse();
  find("#rounds").replaceChildren(...newest.map(roundRow));
  find("#no-rounds").hidden = rounds.length > 0;
  find("[data-rounds]").dataset.rounds = rounds.length;
}

function roundRow(round) {
  const seconds = Object.values(round.seconds).reduce((sum, each) => sum + (each ?? 0), 0);
  const number = (text) => make("td", { className: "number", textContent: text });
  return make(
    "tr",
    {},
    Object.assign(header(round.number), { className: "number" }),
    make("td", { textContent: round.strategy }),
    make("td", {}, round.method, ...(round.note ? [make("small", { textContent: round.note })] : [])),
    number(round.labels.toLocaleString("en")),
    number(round.finished ? seconds.toFixed(1) : "…"),
    make("td", { textContent: outcome(round) }),
  );
}

function outcome({ finished, accuracy, low, high, exam, exam_size: size }) {
  if (accuracy !== null) return `${percent(accuracy)} (${percent(low)} to ${percent(high)})`;
  if (!finished) return "in work";
  return exam === "audit" ? `${size ?? 0} of ${needed} audit answers` : "–";
}

function drawCurve(rounds) {
  const known = rounds.filter((round) => round.accuracy !== null);
  find("#curve").hidden = find("#reading").hidden = known.length === 0;
  const last = rounds.at(-1);
  const before =
    last?.exam === "audit"
      ? `${last.exam_size ?? 0} of ${needed} audit answers: the curve begins when they are complete.`
      : "The curve begins after the first round.";
  show("#no-curve", known.length ? "" : before);
  if (!known.length) return;
  find("#curve").ariaLabel =
    `Learning curve: ${percent(known.at(-1).accuracy)} after ${known.at(-1).labels} labels. ` +
    "The table of rounds has all values.";
  curve.show(known);
}

function header(content) {
  return make("th", { scope: "row" }, content);
}

function show(selector, text) {
  Object.assign(find(selector), { textContent: text, hidden: !text });
}

async function poll() {
  try {
    draw(await get("/api/progress"));
  } catch (error) {
    show(
      "#trouble",
      error.status ? error.message : "The server does not answer; this page tries again by itself.",
    );
  }
}

const look = whileVisible(poll, POLL);
find("#pause").onclick = async () => {
  find("#pause").disabled = true;
  try {
    await post("/api/learner/pause", { paused: !paused });
    announce(paused ? "Learning goes on." : "Learning is paused.");
  } catch (error) {
    announce(`That did not work: ${error.message}`);
  }
  look();
};
