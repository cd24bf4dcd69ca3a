// Requests to the server. Addresses are relative to the page, so it also works under a path of a proxy.

const KEY = "api-key";

// An error that is shown to the user, as one line; `status` is that of HTTP, 0 without an answer; `field`: of the
// request, that is wrong.
export class ShownError extends Error {
  constructor(message, status, field = null) {
    super(message.replace(/\s+/g, " ").trim());
    Object.assign(this, { status, field });
  }
}

export function useKey(key) {
  sessionStorage.setItem(KEY, key);
}

async function send(path, body, signal) {
  const headers = {};
  const key = sessionStorage.getItem(KEY);
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body) headers["Content-Type"] = "application/json";
  const response = await reached(fetch(path, { method: body ? "POST" : "GET", headers, signal, body: body && JSON.stringify(body) }));
  if (response.ok) return response;
  if (response.status === 401) throw new ShownError(key ? "The server does not accept this API key." : "", 401);
  const answer = await response.json().catch(() => null);
  const { message = `The server answered with ${response.status}.`, field } = answer?.error ?? {};
  throw new ShownError(message, response.status, field);
}

// What a promise of the network gives; a connection that fails is an error for the user.
async function reached(promise) {
  try {
    return await promise;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ShownError("The server does not answer. Is it still running?", 0);
  }
}

async function call(path, body, signal) {
  return reached((await send(path, body, signal)).json());
}

export const models = async () => (await call("v1/models")).models;
export const alternatives = async (request, signal) => (await call("v1/alternatives", request, signal)).alternatives;

// A translation; until it is complete, `progress(piece)` is called with what has become certain of its text.
export async function translate(request, signal, progress) {
  const response = await send("v1/stream", request, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let parts = []; // of an event that is not complete
  for (;;) {
    const { value, done } = await reached(reader.read());
    if (done) throw new ShownError("The server ended its answer too early.", 500);
    parts.push(value);
    if (!(parts.at(-2) ?? "").endsWith("\n") && !value.includes("\n\n")) continue;
    const events = parts.join("").split("\n\n");
    parts = [events.pop()];
    for (const event of events) {
      const content = JSON.parse(event.slice("data: ".length));
      if (content.error) throw new ShownError(content.error.message, 500);
      if (content.translation) return content.translation;
      progress(content.piece);
    }
  }
}
