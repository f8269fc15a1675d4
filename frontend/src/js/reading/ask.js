/* Asking for a short text over the page: the reason of a change, why something cannot be assessed. */
import { button, textOf } from "./elements.js";

const LEAST = 3;
const MOST = 300;

export class Ask {
  constructor(dialog) {
    this.dialog = dialog;
    this.form = dialog.querySelector("form");
    this.field = dialog.querySelector("textarea");
    this.field.maxLength = MOST;
    this.find = (name) => dialog.querySelector(`[data-ask-${name}]`);
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.accept();
    });
    this.find("cancel").addEventListener("click", () => this.finish(null));
    // Enter gives the answer, as everywhere in the room; Shift Enter makes a new line.
    this.field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.accept();
    });
    // At once: the "close" event comes later, and could then close the next question.
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.finish(null);
    });
    dialog.addEventListener("close", () => {
      if (!dialog.open) this.finish(null); // closed by the browser
    });
  }

  /** The text, or null if the reader thought better of it. */
  text({ title, text, label, suggestions = [], value = "" }) {
    this.find("title").textContent = title;
    this.find("text").textContent = text;
    this.find("label").textContent = label;
    this.find("suggestions").replaceChildren(
      ...suggestions.map((suggestion) =>
        button("btn btn-small", suggestion, () => {
          this.field.value = suggestion;
          this.field.focus();
        }),
      ),
    );
    this.field.value = value;
    this.fault("");
    this.finish(null); // one question at a time
    this.dialog.showModal();
    this.field.focus();
    this.field.select();
    return new Promise((resolve) => {
      this.resolve = resolve;
    });
  }

  accept() {
    const text = textOf(this.field);
    if (text.length < LEAST) {
      this.fault("Please write a few words.");
      this.field.focus();
      return;
    }
    this.finish(text);
  }

  finish(answer) {
    const { resolve } = this;
    this.resolve = null;
    if (this.dialog.open) this.dialog.close();
    resolve?.(answer);
  }

  fault(text) {
    this.find("fault").textContent = text;
    this.field.setAttribute("aria-invalid", String(Boolean(text)));
  }
}
