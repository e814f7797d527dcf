// The loupe of the label page: closer, farther, moved, brighter. The geometry is pure; the class only draws it.

export const WHOLE = { scale: 1, x: 0, y: 0 }; // the picture as it fits
const CLOSEST = 16;
const STEP = 1.5; // of one key press
const PART = 0.2; // of the stage that an arrow moves
const WHEEL = 0.002; // of a doubling, per pixel that the wheel scrolls
const LIGHTS = [1, 1.5, 2.25, 0.6]; // of the picture's own brightness, in the order that the key walks

const between = (low, value, high) => Math.min(Math.max(value, low), high);

/** `view` magnified by `factor` around `point`, which stays where it is as far as the picture has edges to give. */
export function zoomed(view, factor, point, box) {
  const scale = between(1, view.scale * factor, CLOSEST);
  const kept = (from, at) => at - ((at - from) * scale) / view.scale;
  return held({ scale, x: kept(view.x, point.x), y: kept(view.y, point.y) }, box);
}

/** `view` moved by so many pixels; the stage stays covered. */
export function moved(view, dx, dy, box) {
  return held({ ...view, x: view.x + dx, y: view.y + dy }, box);
}

function held({ scale, x, y }, { width, height }) {
  return { scale, x: between(width * (1 - scale), x, 0), y: between(height * (1 - scale), y, 0) };
}

export class Loupe {
  view = WHOLE;
  #light = 0;
  #fingers = new Map(); // pointer id -> {x, y}

  /** `content` fills `stage` and is what is magnified; `say(text)` announces; `onCloser()`: it is larger than whole. */
  constructor(stage, content, { say, onCloser }) {
    Object.assign(this, { stage, content, say, onCloser });
    stage.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    stage.addEventListener("pointerdown", (event) => this.#down(event));
    stage.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"])
      stage.addEventListener(end, (event) => this.#fingers.delete(event.pointerId));
    new ResizeObserver(() => this.#draw(moved(this.view, 0, 0, this.#box))).observe(stage);
  }

  /** Another picture: whole again, as bright as the one before. */
  reset() {
    this.#draw(WHOLE);
  }

  closer() {
    this.#magnify(STEP);
  }

  farther() {
    this.#magnify(1 / STEP);
  }

  /** Whole or, where it is whole already, twice as large. */
  toggle() {
    this.#magnify(this.view.scale > 1 ? 0 : 2);
  }

  pan(right, down) {
    const { width, height } = this.#box;
    this.#draw(moved(this.view, -right * PART * width, -down * PART * height, this.#box));
  }

  /** The next of a few degrees of brightness; it stays for the pictures that follow. */
  brighten() {
    this.#light = (this.#light + 1) % LIGHTS.length;
    const light = LIGHTS[this.#light];
    this.content.style.filter = light === 1 ? "" : `brightness(${light})`;
    this.stage.dataset.light = light;
    this.say(light === 1 ? "Brightness: as it is." : `Brightness: ${Math.round(100 * light)} %.`);
  }

  get #box() {
    return { width: this.content.offsetWidth, height: this.content.offsetHeight };
  }

  #magnify(factor, point) {
    const { width, height } = this.#box;
    this.#draw(zoomed(this.view, factor, point ?? { x: width / 2, y: height / 2 }, this.#box));
    this.say(this.view.scale === 1 ? "The whole picture." : `Magnified ${this.view.scale.toFixed(1)} times.`);
  }

  #draw(view) {
    this.view = view;
    const { scale, x, y } = view;
    this.content.style.transform = scale === 1 ? "" : `translate(${x}px, ${y}px) scale(${scale})`;
    this.stage.dataset.scale = scale.toFixed(2);
    if (scale > 1) this.onCloser();
  }

  #place({ clientX, clientY }) {
    const edge = this.stage.getBoundingClientRect();
    return { x: clientX - edge.left - this.content.offsetLeft, y: clientY - edge.top - this.content.offsetTop };
  }

  #wheel(event) {
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1);
    this.#draw(zoomed(this.view, 2 ** (-pixels * WHEEL), this.#place(event), this.#box));
  }

  #down(event) {
    if (event.target.closest("button") || event.button > 0) return;
    this.#fingers.set(event.pointerId, this.#place(event));
    this.stage.setPointerCapture(event.pointerId);
  }

  /** One finger or the mouse moves the picture, two pinch it. */
  #move(event) {
    const before = this.#fingers.get(event.pointerId);
    if (!before) return;
    const after = this.#place(event);
    const [other] = [...this.#fingers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
    this.#fingers.set(event.pointerId, after);
    const pinched = other ? apart(after, other) / Math.max(apart(before, other), 1) : 1;
    const view = zoomed(this.view, pinched, other ?? after, this.#box);
    this.#draw(other ? view : moved(view, after.x - before.x, after.y - before.y, this.#box));
  }
}

const apart = (one, two) => Math.hypot(one.x - two.x, one.y - two.y);
