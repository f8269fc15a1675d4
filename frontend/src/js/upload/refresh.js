/* The page's own lists, fetched anew where something was stored: they say what there is now. */

/** Parts marked data-fresh, by id. One that the keyboard is in waits until it has left. */
export async function refreshPage() {
  const response = await fetch(window.location.href, { headers: { Accept: "text/html" } });
  if (!response.ok || response.redirected) return; // signed out: the next act says so
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const part of document.querySelectorAll("[data-fresh]")) {
    const now = fresh.getElementById(part.id);
    if (now) replaceOnceLeft(part, now);
  }
}

function replaceOnceLeft(part, now) {
  if (!part.contains(document.activeElement)) part.replaceWith(document.adoptNode(now));
  else part.addEventListener("focusout", () => setTimeout(() => replaceOnceLeft(part, now)), { once: true });
}
