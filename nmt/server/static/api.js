// Requests to the server. Addresses are relative to the page, so it also works under a path of a proxy.

const KEY = "api-key";

// An error that is shown to the user, as one line; `status` is that of HTTP, 0 without an answer.
export class ShownError extends Error {
  constructor(message, status) {
    super(message.replace(/\s+/g, " ").trim());
    this.status = status;
  }
}

export function useKey(key) {
  sessionStorage.setItem(KEY, key);
}

async function call(path, body, signal) {
  const headers = {};
  const key = sessionStorage.getItem(KEY);
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body) headers["Content-Type"] = "application/json";
  const request = { method: body ? "POST" : "GET", headers, signal, body: body && JSON.stringify(body) };
  let response, answer;
  try {
    response = await fetch(path, request);
    answer = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (!response) throw new ShownError("The server does not answer. Is it still running?", 0);
    throw new ShownError(`The server answered with ${response.status}, but not in JSON.`, response.status || 500);
  }
  if (!response.ok) throw new ShownError(answer?.error?.message ?? `The server answered with ${response.status}.`, response.status);
  return answer;
}

export const models = async () => (await call("v1/models")).models;
export const translate = (request, signal) => call("v1/translate", request, signal);
export const alternatives = async (request, signal) => (await call("v1/alternatives", request, signal)).alternatives;
