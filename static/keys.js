// What a key press means, from the event alone: no DOM, no state.

const NAMED = {
  Enter: "accept",
  " ": "skip",
  Backspace: "undo",
  ArrowLeft: "older",
  ArrowRight: "newer",
  Escape: "present",
  "?": "help",
  "+": "closer",
  "=": "closer", // the plus of American boards, without shift
  "-": "farther",
  "/": "filter",
};
const LETTERS = { a: "accept", u: "unsure", f: "flag", h: "help", z: "toggle", b: "brighten" };
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const HELD = new Set(["closer", "farther", "pan"]); // what a held key does again and again
const OF_A_CONTROL = new Set(["Enter", " "]);

/**
 * The command of a keydown event: {name}, {name: "class", class: row of `classes`}, {name: "pan", right, down}, or
 * null where it has none. `place` is where the focus is: "page", "control" (keeps Enter and space) or "field" (keeps
 * every key). A held key answers nothing: it gives {name: "ignore"}, and the browser must not scroll either.
 */
export function commandFor(event, classes, place = "page") {
  if (place === "field" || event.isComposing) return null;
  if (place === "control" && OF_A_CONTROL.has(event.key)) return event.repeat ? { name: "ignore" } : null;
  const command = meaning(event, classes);
  return command && event.repeat && !HELD.has(command.name) ? { name: "ignore" } : command;
}

function meaning(event, classes) {
  const symbol = symbolOf(event);
  if (event.ctrlKey || event.metaKey || event.altKey) return undoes(event, symbol) ? { name: "undo" } : null;
  if (event.shiftKey && event.key in ARROWS) {
    const [right, down] = ARROWS[event.key];
    return { name: "pan", right, down };
  }
  const name = NAMED[event.key] ?? LETTERS[symbol];
  if (name) return { name };
  const row = symbol && classes.find((each) => each.key === symbol);
  return row ? { name: "class", class: row } : null;
}

function undoes(event, symbol) {
  const oneModifier = event.ctrlKey !== event.metaKey && !event.altKey && !event.shiftKey; // AltGr is Ctrl+Alt
  return oneModifier && symbol === "z";
}

/** "0".."9" or "a".."z", or null. What the key types counts first, its place on the board second. */
function symbolOf({ key, code, shiftKey }) {
  if (/^[0-9]$/.test(key)) return key;
  const digit = /^Digit([0-9])$/.exec(code);
  if (digit && !shiftKey) return digit[1]; // AZERTY types "&" there, and "1" only with shift
  if (/^[a-z]$/i.test(key)) return key.toLowerCase();
  const letter = /^Key([A-Z])$/.exec(code);
  const otherScript = /^\p{L}$/u.test(key); // not for punctuation: Dvorak types ";" on KeyZ
  return letter && otherScript ? letter[1].toLowerCase() : null;
}

/** Where an event's target stands, for `commandFor`. */
export function placeOf(target) {
  if (target.closest?.("input, textarea, select, [contenteditable]")) return "field";
  return target.closest?.("a, button, summary, [role=button]") ? "control" : "page";
}
