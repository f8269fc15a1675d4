/* The upload page: pick or drop, send with pause and cancel, then follow the reading on the server. */
import { getJson } from "./http.js";
import { Batch, forgetBatch, forgetOld, remembered } from "./upload/batch.js";
import { Card } from "./upload/card.js";
import { element } from "./upload/elements.js";
import { isZip } from "./upload/files.js";
import { makeForm } from "./upload/form.js";
import { refreshPage } from "./upload/refresh.js";

const POLL_MS = 1500;
// A study that was launched takes no images: its page lists what there is and has no form.
const root = document.querySelector("#upload");
if (root) openDesk(root);

function openDesk(root) {
  const urls = {
    tus: root.dataset.tusUrl,
    status: root.dataset.statusUrl,
    finish: root.dataset.finishUrl,
    places: root.dataset.placesUrl,
    inbox: root.dataset.inboxUrl,
  };
  const limits = { files: Number(root.dataset.maxFiles), bytes: Number(root.dataset.maxBytes) };
  const running = new Set();
  const cards = new Map(); // batch -> card

  makeForm(root, send);
  const list = element("ul", "list upload-list", "", { "aria-label": "What is being sent", hidden: "" });
  root.append(list);

  // --- Following what the worker does

  /** Where that fails the lists are as old as the page; the card is not. */
  const renew = () => refreshPage().catch(() => {});

  async function follow(batch) {
    const card = cards.get(batch);
    let over = false;
    while (!over) {
      try {
        const { uploads } = await getJson(`${urls.status}?batch=${encodeURIComponent(batch.id)}`);
        const one = uploads.find(({ batch: id }) => id === batch.id);
        over = Boolean(one) && card.showReading(one, urls.inbox);
      } catch (error) {
        card.say(`Sent. The progress cannot be had now: ${error.message}`);
      }
      if (!over) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    await renew();
  }

  /** The card of a broken-off batch goes when its files are chosen again. */
  function takeUp(batch) {
    for (const [other, card] of cards) {
      if (other.unfinished && other.id === batch.id) {
        card.remove();
        cards.delete(other);
      }
    }
  }

  /** What was being sent or read when the page was opened. */
  async function pickUp() {
    const { uploads } = await getJson(urls.status);
    forgetOld();
    for (const one of uploads.filter(({ state }) => state === "receiving")) {
      const batch = { id: one.batch, unfinished: true };
      const known = remembered(one.batch);
      // The list does not name the uploads of a batch; they are asked for to cancel them.
      const [whole] = (await getJson(`${urls.status}?batch=${encodeURIComponent(one.batch)}`)).uploads;
      if (!whole) continue;
      const card = new Card(known?.name ?? whole.name, list);
      cards.set(batch, card);
      card.showUnfinished(whole, known, urls.tus, () => {
        forgetBatch(one.batch);
        renew();
      });
    }
    for (const one of uploads.filter(({ state }) => ["queued", "reading"].includes(state))) {
      const batch = { id: one.batch };
      const card = new Card(one.name, list);
      cards.set(batch, card);
      card.showReading(one, urls.inbox);
      follow(batch);
    }
  }

  // --- Sending

  async function send(entries, { target, mapping, pattern }) {
    if (!entries.length) return;
    const found = { mapping: (await mapping?.text()) ?? "", mapping_name: mapping?.name ?? "", pattern };
    // A zip is read by itself; loose files that were picked together belong together.
    const loose = entries.filter((entry) => !isZip(entry));
    const sets = [...entries.filter(isZip).map((entry) => [entry]), ...(loose.length ? [loose] : [])];
    for (const set of sets) {
      const batch = new Batch(set, target, urls, found, limits);
      const card = new Card(batch.name, list);
      cards.set(batch, card);
      running.add(batch);
      batch.addEventListener("change", () => {
        card.showBatch(batch);
        if (batch.running) return;
        if (batch.state !== "failed") running.delete(batch);
        if (batch.state === "sent") {
          renew();
          follow(batch);
        }
      });
      card.showBatch(batch);
      batch.start().then(() => takeUp(batch));
    }
  }

  window.addEventListener("beforeunload", (event) => {
    if ([...running].some((batch) => batch.running)) event.preventDefault();
  });

  pickUp().catch(() => {}); // the page's own list shows them too
  root.dataset.ready = "1";
}
