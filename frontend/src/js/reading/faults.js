/*
 * A fault of the page itself: said to the reader in a sentence with what to do, and told to the
 * server by kind and place, never by its message, which could hold anything.
 */
import { csrfToken } from "../http.js";

const MOST = 5; // of one visit: the first ones tell, the rest repeat

/** `say(text)` shows it; `item()` is the token of what is being read. */
export function watchFaults(url, item, say) {
  let told = 0;
  const tell = (kind, name, where) => {
    say("Something on this page failed. Nothing that you scored is lost: reload the page to go on.");
    told += 1;
    if (told > MOST || !url) return;
    const body = {
      item: item(),
      kind,
      name: String(name).replace(/[^A-Za-z]/g, "").slice(0, 40) || "Error",
      where: String(where).replace(/[^A-Za-z0-9_./:-]/g, "").slice(0, 120),
    };
    const headers = { "Content-Type": "application/json", "X-CSRFToken": csrfToken() };
    const sent = fetch(url, { method: "POST", headers, body: JSON.stringify(body), keepalive: true });
    sent.catch(() => {}); // a report is never worth a second fault
  };
  window.addEventListener("error", (event) => {
    if (event.message?.includes("ResizeObserver loop")) return; // the browser's own notice, harmless
    const path = event.filename ? new URL(event.filename, window.location).pathname : "";
    tell("script", event.error?.name ?? "Error", `${path}:${event.lineno}:${event.colno}`);
  });
  window.addEventListener("unhandledrejection", ({ reason }) => {
    if (reason?.name === "AbortError") return; // something was left on purpose
    tell("promise", reason?.name ?? "Rejection", placeOf(reason));
  });
}

/** The first place of a stack, without anything else of it. */
function placeOf(reason) {
  const match = /(\/static\/[\w./-]+\.js:\d+:\d+)/.exec(reason?.stack ?? "");
  return match ? match[1] : "";
}
