/*
 * The reader's sessions: what still waits in this browser is sent from here too, so that nobody has
 * to open an item to deliver what was scored without a network.
 */
import { Outbox } from "./reading/outbox.js";
import { sessionsWaiting } from "./reading/store.js";

const host = document.querySelector("[data-waiting]");
const { signinUrl } = host.dataset;

function show(outboxes) {
  const own = outboxes.filter(({ trouble }) => trouble !== "other-person");
  const waiting = own.reduce((sum, outbox) => sum + outbox.count(), 0);
  const others = outboxes.length - own.length;
  const many = waiting === 1 ? "One entry waits" : `${waiting} entries wait`;
  const texts = [];
  if (waiting) texts.push(`${many} in this browser to be sent.`);
  if (others) texts.push("Answers of another reader wait in this browser until that reader signs in here.");
  host.textContent = texts.join(" ");
  host.hidden = texts.length === 0;
}

async function begin() {
  const sessions = await sessionsWaiting();
  if (!sessions.length) return;
  const outboxes = await Promise.all(sessions.map((session) => Outbox.open(session, signinUrl)));
  for (const outbox of outboxes) {
    outbox.addEventListener("change", () => show(outboxes));
    outbox.deliver();
  }
  const before = outboxes.map((outbox) => outbox.count());
  show(outboxes);
  await Promise.all(outboxes.map((outbox) => outbox.settled()));
  // The figures on the page are those from before.
  if (outboxes.some((outbox, index) => before[index] > outbox.count())) window.location.reload();
}

begin();
