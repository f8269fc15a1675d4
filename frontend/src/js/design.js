/* The design form: its buttons put the server's answer into the page, so that nothing that was typed
 * is lost, the place is kept and the keyboard goes on where it was. The server decides everything;
 * without this script the same buttons load the page anew. */
import { csrfToken } from "./http.js";

const said = document.querySelector("p[data-said]");
const trouble = document.querySelector("[data-trouble]");
let changed = form().hasAttribute("data-changed");
let busy = false;

function form() {
  return document.querySelector("#design");
}

function tell(message) {
  trouble.textContent = message;
  trouble.hidden = message === "";
  if (message) trouble.scrollIntoView({ block: "nearest" });
}

async function send(button) {
  const data = new FormData(form(), button);
  data.delete("csrfmiddlewaretoken"); // the header follows a sign-in in another window
  const response = await fetch(location.pathname, {
    method: "POST",
    body: data,
    headers: { "X-CSRFToken": csrfToken(), "X-Design": "1" },
  });
  if (response.status === 204) return null;
  if (response.redirected && new URL(response.url).pathname !== location.pathname) {
    // Signed out, or launched meanwhile: what was typed stays on the page.
    throw new Error(
      response.url.includes("/login")
        ? "You are signed out. Sign in in another window, then go on here: what you typed is kept."
        : "The study was launched meanwhile: its design is frozen, and this was not saved.",
    );
  }
  if (response.status === 403) {
    throw new Error("You are signed out, or may not do this. Sign in in another window, then try again.");
  }
  if (!response.ok) throw new Error("The server could not answer. What you typed is kept: try again.");
  return response.text();
}

function put(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html").querySelector("#design");
  if (!fresh) throw new Error("The server's answer could not be read. What you typed is kept.");
  const open = new Set(
    [...form().querySelectorAll("details[open]")].map((details) => details.closest(".design-row")?.querySelector("[name$='-key']")?.value),
  );
  form().replaceWith(document.adoptNode(fresh));
  for (const details of form().querySelectorAll("details")) {
    if (open.has(details.closest(".design-row")?.querySelector("[name$='-key']")?.value)) details.open = true;
  }
  const focus = document.getElementById(form().dataset.focus);
  focus?.focus();
  focus?.scrollIntoView({ block: "nearest" });
  said.textContent = "";
  said.textContent = form().dataset.said;
  form().dataset.ready = "1";
}

async function press(button) {
  if (busy) return;
  busy = true;
  form().setAttribute("aria-busy", "true");
  try {
    const html = await send(button);
    tell("");
    if (html === null) {
      changed = false;
      location.assign(location.pathname);
      return;
    }
    put(html);
    changed = true;
  } catch (error) {
    tell(error instanceof TypeError ? "The server cannot be reached. What you typed is kept: try again." : error.message);
  } finally {
    busy = false;
    form().removeAttribute("aria-busy");
  }
}

document.addEventListener("submit", (event) => {
  if (event.target !== form() || event.defaultPrevented || !event.submitter) return;
  event.preventDefault();
  press(event.submitter);
});

// A corrected name or a chosen code shows in every list of arms at once.
function nameArms() {
  for (const key of form().querySelectorAll("[name^='arms-'][name$='-key']")) {
    const stem = key.name.slice(0, -"key".length);
    const typed = (name) => form().elements[`${stem}${name}`]?.value.trim();
    const label = typed("name") || typed("code") || "a new arm";
    for (const option of form().querySelectorAll(`select[data-arms] option[value="${CSS.escape(key.value)}"]`)) {
      option.textContent = label;
    }
  }
}

document.addEventListener("input", (event) => {
  if (event.target.form !== form()) return;
  changed = true;
  if (/^arms-\d+-(name|code)$/.test(event.target.name)) nameArms();
  if (event.target.name === "planning-kind") {
    for (const box of form().querySelectorAll("[data-when]")) box.hidden = box.dataset.when !== event.target.value;
  }
  if (event.target.name === "reading-mode") {
    const points = ["relative", "absolute"].includes(event.target.value);
    for (const line of form().querySelectorAll(".points-line")) line.hidden = !points;
  }
});

window.addEventListener("beforeunload", (event) => {
  if (changed) event.preventDefault();
});

document.addEventListener("click", (event) => {
  if (event.target.closest?.("[data-leave]")) changed = false;
});

form().dataset.ready = "1";
