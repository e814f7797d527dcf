// Talking with the server: JSON in, JSON out, and a CSRF token that renews itself.

const PATIENCE = 15_000; // ms; a reply that takes longer counts as no reply
const LASTING = new Set([400, 404, 409, 410, 413, 422]);

let csrf = document.querySelector('meta[name="csrf-token"]')?.content ?? "";

/** The server said no. No reply at all is the TypeError or TimeoutError of fetch. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }

  get staleToken() {
    return (this.status === 400 || this.status === 403) && /csrf/i.test(this.message);
  }

  /** Would the same words be refused again? */
  get lasting() {
    return LASTING.has(this.status) && !this.staleToken;
  }
}

export async function get(url) {
  return reply(await fetch(url, { signal: AbortSignal.timeout(PATIENCE) }));
}

export async function post(url, body) {
  try {
    return await send(url, body);
  } catch (error) {
    if (!error.staleToken) throw error;
    csrf = (await get("/api/csrf")).csrf;
    return send(url, body);
  }
}

/** The last words of a page that goes away: nobody waits for the reply. */
export function farewell(url, body) {
  fetch(url, { ...message(body), keepalive: true }).catch(() => {});
}

async function send(url, body) {
  return reply(await fetch(url, { ...message(body), signal: AbortSignal.timeout(PATIENCE) }));
}

function message(body) {
  const headers = { "Content-Type": "application/json", "X-CSRFToken": csrf };
  return { method: "POST", headers, body: JSON.stringify(body) };
}

async function reply(response) {
  const answer = await response.json().catch(() => ({}));
  // a login page or a proxy may answer 200 with something that is not ours: that is not a yes
  if (response.ok && answer.ok === true) return answer;
  throw new Refused(response.status, answer.error ?? `the server answered ${response.status}`);
}
