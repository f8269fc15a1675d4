/* The look at the display when a session starts: what was seen is stored, nobody is turned away. */
import { ContrastTest } from "../display/contrast_test.js";
import { element } from "./elements.js";
import { displayRecord } from "./visit.js";

const PATIENCE_MS = 4000;

/** Resolves to what was seen of the pattern, null if it was skipped. */
export async function checkDisplay(dialog, item, outbox) {
  const find = (name) => dialog.querySelector(`[data-display-${name}]`);
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  dialog.showModal();
  const contrast = await new ContrastTest(find("test")).run();
  const advice = adviceFor(outbox);
  outbox.add({
    ...{ kind: "display", item: item.token, page: item.page, url: item.display_url },
    body: { ...displayRecord(), contrast },
  });
  const sentences = await advice;
  if (sentences.length) {
    find("test").hidden = true;
    find("advice").replaceChildren(...sentences.map((text) => element("p", "", text)));
    find("advice").hidden = find("foot").hidden = false;
    find("go").focus();
    await new Promise((resolve) => find("go").addEventListener("click", resolve, { once: true }));
  }
  dialog.close();
  return contrast;
}

/** The server's advice, if it answers soon; reading does not wait for it. */
function adviceFor(outbox) {
  return new Promise((resolve) => {
    setTimeout(() => resolve([]), PATIENCE_MS);
    outbox.addEventListener("receipt", ({ detail: { delivery, answer } }) => {
      if (delivery.kind === "display") resolve(answer.advice ?? []);
    });
  });
}
