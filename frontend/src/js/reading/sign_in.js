/*
 * The sign-in has run out: the password is asked for over the page, with everything on it left as it
 * is. What was being done goes on when the reader is back. A dialog that was put off comes back only
 * when the reader does something that cannot go on without it; meanwhile it is looked up quietly
 * whether the reader has signed in in another window.
 *
 * Emits "back" when the reader is signed in again, however it came about.
 */
import { postJson, rememberCsrfToken } from "../http.js";
import { signedInAs } from "./who.js";

const LOOK_MS = 15_000;

export class SignIn extends EventTarget {
  constructor(dialog, url, activity) {
    super();
    this.isPutOff = false;
    this.dialog = dialog;
    this.url = url;
    this.activity = activity;
    this.find = (name) => dialog.querySelector(`[data-signin-${name}]`);
    this.password = dialog.querySelector("[name=password]");
    this.code = dialog.querySelector("[name=code]");
    dialog.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    this.find("later").addEventListener("click", () => dialog.close());
    for (const sign of ["focus", "online"]) {
      window.addEventListener(sign, () => (this.asking ? this.look() : this.lookQuietly()));
    }
    dialog.addEventListener("close", () => {
      if (dialog.open || !this.asking) return;
      this.activity.free("signed_out");
      this.password.value = this.code.value = "";
      this.asking = null;
      if (!this.isDone) this.putOff();
      this.resolve(this.isDone);
    });
  }

  /** What goes on by itself asks so: not again once the reader has put it off. */
  offer(item, reader) {
    return this.isPutOff ? Promise.resolve(false) : this.ask(item, reader);
  }

  /** True once the reader of `item` is signed in again; false if the dialog was put off. */
  ask(item, reader = "") {
    if (this.asking) return this.asking;
    clearInterval(this.timer);
    this.item = item;
    this.isDone = false;
    this.find("reader").textContent = reader ? `Password of ${reader}` : "Your password";
    this.find("code-row").hidden = true;
    this.fault("");
    this.activity.hold("signed_out");
    this.asking = new Promise((resolve) => {
      this.resolve = resolve;
    });
    const { asking } = this;
    this.dialog.showModal();
    this.password.focus();
    this.look();
    return asking;
  }

  /** Signed in again in another window meanwhile, or somebody else is. */
  async look() {
    const who = await signedInAs(this.url, this.item);
    if (!this.dialog.open) return;
    if (who === "reader") this.done();
    if (who === "another") {
      this.fault("Another person is signed in in this browser. They have to sign out first; your answers are kept until then.");
    }
  }

  putOff() {
    this.isPutOff = true;
    clearInterval(this.timer);
    this.timer = setInterval(() => this.lookQuietly(), LOOK_MS);
  }

  async lookQuietly() {
    if (!this.isPutOff || this.dialog.open || document.hidden) return;
    if ((await signedInAs(this.url, this.item)) === "reader") this.isBack();
  }

  /** Signed in again: here, in another window, or as the server's receipts show. */
  isBack() {
    clearInterval(this.timer);
    this.isPutOff = false;
    this.dispatchEvent(new Event("back"));
  }

  async send() {
    if (this.sending) return;
    this.sending = true;
    this.fault("");
    const body = { item: this.item, password: this.password.value };
    if (!this.find("code-row").hidden) body.code = this.code.value.trim();
    try {
      const answer = await this.post(body);
      rememberCsrfToken(answer.csrf_token);
      this.done();
    } catch (error) {
      this.refused(error);
    } finally {
      this.sending = false;
    }
  }

  /** Once more where the page's proof against forged requests had run out with the sign-in. */
  async post(body) {
    try {
      return await postJson(this.url, body);
    } catch (error) {
      if (error.status !== 403 || error.body) throw error;
      await signedInAs(this.url, this.item);
      return postJson(this.url, body);
    }
  }

  refused(error) {
    const needsCode = ["second_factor", "wrong_code"].includes(error.code);
    if (needsCode) this.find("code-row").hidden = false;
    this.fault(error.status ? error.message : "The server cannot be reached. Please try again.");
    const field = needsCode ? this.code : this.password;
    field.focus();
    field.select();
  }

  done() {
    this.isDone = true;
    this.dialog.close();
    this.isBack();
  }

  fault(text) {
    this.find("fault").textContent = text;
  }
}
