// Talking with the server: JSON in, JSON out, and a CSRF token that renews itself.

const PATIENCE = 15_000; // ms; a reply that takes longer counts as no reply
const LASTING = new Set([400, 404, 409, 410, 413, 422]);
const PASSING = new Set(["stale-token", "other-project", "other-person"]); // codes that say: not now

const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content;
const project = meta("project"); // another one may answer at this address by and by
const person = meta("person"); // somebody else may log in in this browser
let csrf = meta("csrf-token") ?? "";
let renewal = null;

/** The server, or something in its place, said no. No reply at all is the TypeError or TimeoutError of fetch. */
export class Refused extends Error {
  constructor(status, answer) {
    super(answer?.error ?? `the server answered ${status}`);
    this.status = status;
    this.code = answer?.code;
    this.ours = answer?.ok === false;
  }

  /** Would the same words be refused again? Only our own server knows: a proxy's 404 passes. */
  get lasting() {
    return this.ours && LASTING.has(this.status) && !PASSING.has(this.code);
  }
}

export async function get(url) {
  return reply(await fetch(url, { headers: address(), signal: AbortSignal.timeout(PATIENCE) }));
}

/** `body`: an object for JSON, or FormData with files, which need more patience. */
export async function post(url, body, patience = PATIENCE) {
  try {
    return await send(url, body, patience);
  } catch (error) {
    if (error.code !== "stale-token") throw error;
    await (renewal ??= renew());
    return send(url, body, patience);
  }
}

/** One for all who wait: each renewal without a session begins another session. */
async function renew() {
  try {
    csrf = (await get("/api/csrf")).csrf;
  } finally {
    renewal = null;
  }
}

/** The last words of a page that goes away: nobody waits for the reply. */
export function farewell(url, body) {
  fetch(url, { ...message(body), keepalive: true }).catch(() => {});
}

async function send(url, body, patience) {
  return reply(await fetch(url, { ...message(body), signal: AbortSignal.timeout(patience) }));
}

function message(body) {
  const headers = { ...address(), "X-CSRFToken": csrf };
  if (body instanceof FormData) return { method: "POST", headers, body };
  headers["Content-Type"] = "application/json";
  return { method: "POST", headers, body: JSON.stringify(body) };
}

/** Whom this page talks to and who talks, where it is the page of one project. */
function address() {
  return project ? { "X-Annotator-Project": project, "X-Annotator-Person": person } : {};
}

async function reply(response) {
  const answer = await response.json().catch(() => null);
  // a login page or a proxy may answer 200 with something that is not ours: that is not a yes
  if (response.ok && answer?.ok === true) return answer;
  throw new Refused(response.status, answer);
}
