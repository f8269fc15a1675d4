/* What every page runs: htmx under a strict content security policy, and small page behaviours. */
import htmx from "htmx.org";
import { csrfToken } from "./http.js";
import { watchSignOut } from "./sign_out.js";

htmx.config.includeIndicatorStyles = false; // the style element would break the policy
htmx.config.allowEval = false;
htmx.config.allowScriptTags = false;
htmx.config.selfRequestsOnly = true;
htmx.config.historyCacheSize = 0; // study pages must not linger in localStorage
// What was swapped in works at once. For the 20 ms that htmx waits otherwise (more on a busy machine)
// its links and forms are plain ones: a key pressed then left the page, and lost the keyboard's place.
htmx.config.defaultSettleDelay = 0;

document.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["X-CSRFToken"] = csrfToken();
});

watchSignOut();

// What a page says was refused is brought into view, with the keyboard. Fields do that by themselves
// (autofocus, from the server); this is for faults of a whole form and for boxes written by hand.
const fault = document.querySelector(
  "main .form-errors, main form [aria-invalid='true'], main form .errorlist:not([hidden])",
);
if (fault && document.activeElement === document.body && !document.querySelector("[autofocus]")) {
  if (fault.tabIndex < 0) fault.tabIndex = -1;
  fault.focus({ preventScroll: true });
  fault.scrollIntoView({ block: "center" });
}

// A form or button with data-confirm asks before it goes on.
document.addEventListener(
  "submit",
  (event) => {
    const question = event.submitter?.dataset.confirm ?? event.target.dataset.confirm;
    if (question && !window.confirm(question)) event.preventDefault();
  },
  true,
);

// A form with data-autosubmit is sent when one of its controls changes (filters).
document.addEventListener("change", (event) => {
  const form = event.target.form;
  if (form?.hasAttribute("data-autosubmit")) form.requestSubmit();
});

// A part of the page that is replaced twice in quick succession takes the keyboard's place with it:
// whoever steps through slices by keyboard goes on from the same control.
let lastFocused = "";
document.addEventListener("focusin", (event) => {
  lastFocused = event.target.id;
});
document.addEventListener("pointerdown", () => {
  lastFocused = "";
});
document.addEventListener("htmx:afterSettle", () => {
  const lost = document.activeElement === null || document.activeElement === document.body;
  if (lost && lastFocused) document.getElementById(lastFocused)?.focus({ preventScroll: true });
});

// The user menu closes on Escape and on a click elsewhere.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.user-menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.user-menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});
