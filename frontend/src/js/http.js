/* Requests to our own server: JSON in, JSON out, the CSRF header, and errors that people can read. */

export function csrfToken() {
  // The cookie first: it follows a sign-in in another window, the page's own copy does not.
  const match = /(?:^|;\s*)(?:__Host-)?csrftoken=([^;]+)/.exec(document.cookie);
  if (match) return decodeURIComponent(match[1]);
  return document.querySelector('meta[name="csrf-token"]')?.content ?? "";
}

export function rememberCsrfToken(token) {
  const meta = document.querySelector('meta[name="csrf-token"]');
  if (meta && token) meta.content = token;
}

export class ServerError extends Error {
  constructor(message, status, body) {
    super(message);
    this.status = status;
    this.body = body;
    this.code = body?.code ?? "";
  }
}

function explain(status) {
  if (status === 401 || status === 403) return "You are signed out, or may not do this.";
  if (status === 404) return "This page is no longer there.";
  if (status >= 500) return "The server could not answer. Please try again.";
  return "The request was refused.";
}

async function answer(response) {
  // A redirect to the sign-in page arrives as HTML with status 200: that is a lost session.
  const isJson = (response.headers.get("content-type") ?? "").includes("json");
  const body = isJson ? await response.json() : null;
  if (!response.ok) {
    throw new ServerError(body?.error ?? explain(response.status), response.status, body);
  }
  if (!isJson) throw new ServerError(explain(401), 401, null);
  return body;
}

export async function getJson(url, options = {}) {
  return answer(await fetch(url, { headers: { Accept: "application/json" }, ...options }));
}

export async function postJson(url, data, options = {}) {
  return answer(
    await fetch(url, {
      method: "POST",
      headers: {
        Accept: "application/json",
        "Content-Type": "application/json",
        "X-CSRFToken": csrfToken(),
      },
      body: JSON.stringify(data),
      ...options,
    }),
  );
}
