// The sentences of the label page. Pure: rows in, text out.

const KINDS = { skip: "skipped", unsure: "unsure", flag: "flagged" };
const SOURCES = {
  audit: "picked at random to measure accuracy honestly, so the model stays silent",
  second_look: "asked a second time: people or the model see it differently, or its class was changed",
  history: "answered before",
};
const CHOICES = {
  random: "picked at random from the images that are here",
  typiclust: "typical of many images like it",
  kmeans: "in the middle of a group of images like it",
  kmeans_top: "in the middle of a group of images like it",
  kmeans_random: "picked at random from a group of images like it",
  dbscan: "picked at random from a group of images like it",
  optics: "picked at random from a group of images like it",
  coreset: "unlike everything that has a label",
  probcover: "like many images of which none has a label",
  max_herding: "like many images of which none has a label",
  rdss: "one of those that together stand for all images",
}; // the other strategies ask what the model says next
const HESITATES = 0.2; // second over first probability from which two classes are worth naming

export const share = (value) => value.toFixed(2);
export const percent = (value) => `${(100 * value).toFixed(1)} %`;

/** Why this image is asked. `name(id)` gives a class's name. */
export function why({ source, round, strategy, suggestion, unshown }, name, importing) {
  if (strategy === "confident_learning")
    return "a second look: images like it have another label. What was said before is not shown, so that your answer is free";
  const file = suggestion?.origin && fileSays(suggestion, name);
  if (SOURCES[source]) return [SOURCES[source], file].filter(Boolean).join("; ");
  const choice = importing ? CHOICES.random : (CHOICES[strategy] ?? (round === 0 && CHOICES.typiclust));
  const said = file || (suggestion && belief(suggestion, name));
  const silent = unshown && "the model stays silent this time";
  return [choice, said, silent].filter(Boolean).join("; ") || "next in the queue; the model has not looked at it yet";
}

function fileSays({ class: id, confidence, origin }, name) {
  return `suggested: ${name(id)}${confidence === null ? "" : ` (${share(confidence)})`}, from ${origin}`;
}

function belief({ class: first, confidence, second, second_confidence: next }, name) {
  const [one, two] = [name(first), second === null ? "" : name(second)];
  const close = two && next >= HESITATES * confidence;
  if (!close) return `the model expects ${one} (${share(confidence)})`;
  return `the model hesitates between ${one} (${share(confidence)}) and ${two} (${share(next)})`;
}

/** How the answer of a second look stands to the label from before, which nobody saw until now. */
export function compared({ kind, class: id, item: { earlier } }, name) {
  if (earlier === undefined || kind !== "label") return "";
  return id === earlier ? ", as before" : `; before it was ${name(earlier)}`;
}

/** What was decided: "three", "skipped". */
export function verdict({ kind, class: id }, name) {
  return kind === "label" ? name(id) : KINDS[kind];
}

/** What the learner does, and what the next round waits for. */
export function learnerLine({ learner, model, query, importing }) {
  const parts = [
    doing(learner, model),
    importing && `reading the images ${part(importing)}`.trim(),
    next(learner, query),
  ];
  return parts.filter(Boolean).join(" · ");
}

function doing({ alive, paused, activity, done, total }, model) {
  if (paused) return "learning is paused";
  if (!alive)
    return activity === "not started"
      ? "the learning process is starting"
      : "the learning process is not running";
  if (activity === "ready") return model === null ? "no model yet" : "the model is up to date";
  return total > 0 ? `${activity} ${Math.floor((100 * done) / total)} %` : activity;
}

function next({ paused, error }, { answered, size }) {
  if (error) return error;
  if (paused || size === 0) return "";
  const missing = size - answered;
  if (missing <= 0) return "the next round is due";
  return `next round after ${missing} more ${missing === 1 ? "answer" : "answers"}`;
}

export function part({ done, total }) {
  return total ? `${done.toLocaleString("en")} of ${total.toLocaleString("en")}` : "";
}

/** The outbox badge: short, and the whole story. */
export function badge({ phase, kept, aside, fleeting, reason }) {
  const where = fleeting ? "kept" : "kept on this device";
  const no = reason.replace(/\.$/, "");
  const short = {
    saved: "saved",
    saving: `saving (${kept})`,
    offline: `offline (${kept} kept)`,
    refused: `waiting (${kept} kept)`,
    stuck: `not readable (${kept} kept)`,
  };
  const long = {
    saved: aside ? "Every answer but those below is on the server." : "Every answer is on the server.",
    saving: "Answers are on their way to the server.",
    offline: `The server does not answer. Your answers are ${where} and are sent by themselves.`,
    refused: `The server does not take answers now: ${no}. They are ${where} and sent again by themselves.`,
    stuck: `Your answers are ${where}, but ${no}. This page tries again; another browser window may help.`,
  };
  const lost = ` ${fleeting} of them only in memory: this browser does not let the page store them. Keep it open.`;
  const asides = [aside && `${aside} set aside`, fleeting && `${fleeting} in memory only`].filter(Boolean);
  return { short: [short[phase], ...asides].join(" · "), long: long[phase] + (fleeting ? lost : "") };
}
