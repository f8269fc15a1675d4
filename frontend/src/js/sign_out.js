/*
 * Signing out while something that a reader did still waits in this browser: it is sent first; what
 * cannot be sent stays here, and the reader is asked. (The server has the browser forget the images
 * at the sign-out, never what waits.)
 */
import { Outbox } from "./reading/outbox.js";
import { sessionsWaiting } from "./reading/store.js";

const PATIENCE_MS = 5000;

/** How many entries could not be sent; those of another reader are theirs to send. */
async function undelivered(signinUrl) {
  const sessions = await sessionsWaiting();
  const outboxes = await Promise.all(sessions.map((session) => Outbox.open(session, signinUrl)));
  for (const outbox of outboxes) outbox.deliver();
  const settled = Promise.all(outboxes.map((outbox) => outbox.settled()));
  await Promise.race([settled, new Promise((resolve) => setTimeout(resolve, PATIENCE_MS))]);
  const own = outboxes.filter(({ trouble }) => trouble !== "other-person");
  return own.reduce((sum, outbox) => sum + outbox.count(), 0);
}

export function watchSignOut() {
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.matches("[data-sign-out]")) return;
    event.preventDefault();
    const count = await undelivered(form.dataset.signOut);
    const many = count === 1 ? "One entry" : `${count} entries`;
    const question = `${many} could not be sent. What waits is kept in this browser, and sent when you sign in here again. Sign out all the same?`;
    if (count && !window.confirm(question)) return;
    window.dispatchEvent(new Event("signing-out"));
    form.submit();
  });
}
