/* The card of one batch: what of it was sent, read and stored, and what can be done about it. */
import { dropUpload } from "./batch.js";
import { button, element, size } from "./elements.js";

const STAGES = { sent: "Sent", read: "Read", stored: "Stored" };
const OVER = ["done", "failed", "cancelled"];

export class Card {
  constructor(name, list) {
    this.item = element("li", "stack-s");
    const head = element("div", "spread");
    this.actions = element("span", "row");
    head.append(element("span", "strong upload-name", name), this.actions);
    this.stages = element("div", "upload-stages");
    this.bars = {};
    for (const [key, label] of Object.entries(STAGES)) {
      const stage = element("label", "small muted", label);
      this.bars[key] = element("progress", "progress", "", { max: "1", value: "0", "aria-label": `${label}: ${name}` });
      stage.append(this.bars[key]);
      this.stages.append(stage);
    }
    this.text = element("p", "small muted", "", { role: "status" });
    this.refusals = element("ul", "small upload-refusals");
    this.item.append(head, this.stages, this.text, this.refusals);
    list.append(this.item);
    list.hidden = false;
  }

  remove() {
    this.item.remove();
  }

  say(text) {
    if (this.text.textContent !== text) this.text.textContent = text;
  }

  /** Only where they change: a button that is replaced under the pointer loses the click. */
  offer(key, buttons) {
    if (this.offered === key) return;
    this.offered = key;
    const hadFocus = this.actions.contains(document.activeElement);
    this.actions.replaceChildren(...buttons());
    if (hadFocus) this.actions.querySelector("button, a")?.focus();
  }

  /** How far the sending is. */
  showBatch(batch) {
    this.bars.sent.value = batch.total ? batch.sent / batch.total : 1;
    this.bars.sent.className = `progress${batch.state === "failed" ? " progress-bad" : ""}`;
    const progress = `${size(batch.sent)} of ${size(batch.total)}`;
    this.say(
      {
        sending: batch.checking ? "Checking…" : `Sending: ${progress}`,
        paused: `Paused: ${progress}`,
        finishing: "Sent. Handing over to the worker…",
        sent: "Sent. Waiting for the worker…",
        failed: `Stopped. ${batch.error}`,
        cancelled: "Cancelled; nothing of it was kept.",
      }[batch.state],
    );
    this.text.classList.toggle("upload-stopped", batch.state === "failed");
    const again = batch.state === "failed" && !batch.refused;
    this.offer(`${batch.state} ${again}`, () => {
      const made = [];
      if (batch.state === "sending") made.push(button("Pause", () => batch.pause()));
      if (batch.state === "paused") made.push(button("Go on", () => batch.resume()));
      if (again) made.push(button("Try again", () => batch.resume()));
      if (["sending", "paused"].includes(batch.state) || again) {
        made.push(button("Cancel", () => batch.cancel(), "btn-quiet"));
      } else if (batch.state === "failed") {
        const close = async () => {
          await batch.cancel();
          this.remove();
        };
        made.push(button("Close", close, "btn-quiet"));
      }
      return made;
    });
  }

  /** What the server's worker does with it. True once it is over. */
  showReading(one, inboxUrl) {
    const over = OVER.includes(one.state);
    const failed = one.state === "failed";
    const bad = failed || one.tone === "bad";
    this.text.classList.toggle("upload-stopped", bad);
    this.stages.hidden = false;
    this.bars.sent.value = 1;
    for (const key of ["read", "stored"]) {
      this.bars[key].value = one[key] ?? 0;
      this.bars[key].className = `progress ${bad ? "progress-bad" : over ? "progress-ok" : ""}`;
    }
    if (failed) this.say(one.message || "The files could not be read.");
    else if (over) this.say(outcome(one));
    else this.say(one.message || "Waiting for the worker…");
    this.refusals.replaceChildren(
      ...(one.differs ?? []).map((said) => element("li", "", said)),
      ...(one.unmatched ?? []).map((path) => element("li", "", `“${path}” of the mapping file: none of these files lies there.`)),
      ...one.refusals.map(({ name, reason }) => {
        const item = element("li");
        item.append(element("span", "strong", name), `: ${reason}`);
        return item;
      }),
    );
    const inbox = over && one.waiting && inboxUrl;
    this.offer(`reading ${Boolean(inbox)}`, () =>
      inbox ? [element("a", "btn btn-small btn-primary", "Open the inbox", { href: inboxUrl })] : [],
    );
    return over;
  }

  /**
   * What was broken off by a reload or elsewhere: its bytes are kept for a day. `remembered`: what
   * this browser knows of the whole of it; another one's selection is known to nobody here.
   */
  showUnfinished(one, remembered, tusUrl, forget) {
    const files = remembered?.files ?? (one.files === 1 ? 1 : null);
    const total = remembered?.total ?? (one.files === 1 ? one.size : null);
    this.stages.hidden = total === null;
    this.bars.sent.value = total ? one.received / total : 0;
    const counted = files === 1 ? "" : files ? `${one.arrived} of ${files} files, ` : `${one.arrived} files, `;
    const bytes = total === null ? size(one.received) : `${size(one.received)} of ${size(total)}`;
    const unknown = total === null ? " How many were to follow is known to the browser that sent them alone." : "";
    this.say(
      `Not finished: ${counted}${bytes} arrived.${unknown} ` +
        `Choose the same ${files === 1 ? "file" : "files or folder"} again to go on where it stopped, or cancel.`,
    );
    const cancel = async (pressed) => {
      pressed.disabled = true;
      const ended = await Promise.allSettled(one.uploads.map((id) => dropUpload(`${tusUrl}${id}/`)));
      const kept = ended.filter(({ status }) => status === "rejected").length;
      if (kept) {
        pressed.disabled = false;
        this.say(`${kept} of ${one.uploads.length} files could not be cancelled: try again.`);
        return;
      }
      pressed.remove();
      forget();
      this.say("Cancelled; nothing of it was kept.");
    };
    this.offer("unfinished", () => [button("Cancel", cancel, "btn-quiet")]);
  }
}

function outcome({ accepted, waiting, refusals, refused, differs = [] }) {
  const inbox = waiting ? `${waiting} series in the inbox for you to place` : "";
  const off = differs.length ? "; not on the control’s grid, to be replaced:" : "";
  const many = refused ?? refusals.length;
  if (!accepted && many) return `Nothing was taken: ${many} ${many > 1 ? "files were" : "file was"} refused:`;
  const no = many ? `${many} refused` : "none refused";
  return `Done: ${[`${accepted} taken`, inbox, no].filter(Boolean).join(", ")}${off || (many ? ":" : ".")}`;
}
