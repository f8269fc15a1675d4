/* Asking for a short text over the page: the reason of a change, why something cannot be assessed. */
import { button } from "./elements.js";

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
    this.find("cancel").addEventListener("click", () => dialog.close());
    // Enter gives the answer, as everywhere in the room; Shift Enter makes a new line.
    this.field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.accept();
    });
    dialog.addEventListener("close", () => this.resolve?.(this.answer));
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
    this.answer = null;
    this.dialog.showModal();
    this.field.focus();
    this.field.select();
    return new Promise((resolve) => {
      this.resolve = resolve;
    });
  }

  accept() {
    const text = this.field.value.trim();
    if (text.length < LEAST) {
      this.fault("Please write a few words.");
      this.field.focus();
      return;
    }
    this.answer = text;
    this.dialog.close();
  }

  fault(text) {
    this.find("fault").textContent = text;
    this.field.setAttribute("aria-invalid", String(Boolean(text)));
  }
}
