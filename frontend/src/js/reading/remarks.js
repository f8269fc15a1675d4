/* What a reader may add to an item: a comment, and arrows on the images. Both are optional. */
import { button, element, textOf } from "./elements.js";

const TYPING_MS = 1200;
const MOST_ARROWS = 10;

export class Remarks {
  /** `reason(what)`: asks why something stored is changed; resolves to the text or null.
   *  `back()`: the keyboard goes back to the scores. */
  constructor(box, view, { reason, say, back }) {
    this.view = view;
    this.reason = reason;
    this.back = back;
    this.say = say;
    this.find = (name) => box.querySelector(`[data-${name}]`);
    this.field = this.find("comment");
    this.find("open-comment").addEventListener("click", () => this.toggle());
    this.field.addEventListener("input", () => this.typed());
    this.field.addEventListener("blur", () => this.flush());
    this.field.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      this.open(false);
      this.back();
    });
    view.onMark((mark) => this.add(mark));
  }

  show(item, answers) {
    clearTimeout(this.timer);
    this.item = item;
    this.answers = answers;
    this.labels = new Map(item.panes.map(({ number, label }) => [number, label]));
    this.key = `readerstudy.comment.${item.token}`;
    const draft = localStorage.getItem(this.key);
    this.field.value = draft ?? answers.comment.text;
    this.open(this.field.value !== "");
    if (draft !== null) this.later();
    this.update();
  }

  update() {
    const { comment, marks } = this.answers;
    const isTyping = document.activeElement === this.field || localStorage.getItem(this.key) !== null;
    if (!isTyping) this.field.value = comment.text;
    this.find("comment-note").textContent = comment.note;
    if (comment.note) this.open(true);
    this.showMarks(marks);
  }

  // --- The comment ----------------------------------------------------------------------------------

  open(isOpen) {
    this.find("comment-box").hidden = !isOpen;
    const opener = this.find("open-comment");
    opener.setAttribute("aria-expanded", String(isOpen));
    opener.textContent = !isOpen && textOf(this.field) ? "Comment: written" : "Comment";
  }

  toggle(isOpen = this.find("comment-box").hidden) {
    this.open(isOpen);
    if (isOpen) this.field.focus();
    else this.find("open-comment").focus();
  }

  typed() {
    // Typed letters are kept here at once; they are sent when the typing rests.
    localStorage.setItem(this.key, this.field.value);
    this.later();
  }

  later() {
    clearTimeout(this.timer);
    const { comment } = this.answers;
    const isAsked = this.answers.needsReason(comment.revision + comment.pending > 0);
    // A change that needs a reason is asked about when the field is left, not amid the typing.
    if (!isAsked) this.timer = setTimeout(() => this.flush(), TYPING_MS);
  }

  /** Send what was typed. False if the reader took it back. */
  async flush() {
    clearTimeout(this.timer);
    const { answers, key } = this;
    if (localStorage.getItem(key) === null || this.asking) return true;
    const { comment } = answers;
    const text = textOf(this.field);
    let reason = "";
    if (text !== comment.text && answers.needsReason(comment.revision + comment.pending > 0)) {
      this.asking = true;
      reason = await this.reason("comment");
      this.asking = false;
    }
    localStorage.removeItem(key);
    if (reason === null) {
      this.field.value = comment.text;
      return false;
    }
    answers.say(text, reason);
    return true;
  }

  // --- The arrows -------------------------------------------------------------------------------------

  async add({ pane, slice, tail, head }) {
    const { marks } = this.answers.marks;
    if (marks.length >= MOST_ARROWS) {
      this.say(`At most ${MOST_ARROWS} arrows can be set on an item.`);
      return;
    }
    await this.change([...marks, { pane: Number(pane), slice, tail, head }]);
  }

  async change(marks) {
    const { answers } = this;
    let reason = "";
    if (answers.needsReason(answers.marks.revision + answers.marks.pending > 0)) {
      reason = await this.reason("arrows");
    }
    if (reason !== null) answers.mark(marks, reason);
    this.update();
  }

  showMarks({ marks, note }) {
    this.view.setMarks(
      marks.map(({ pane, slice, tail, head }, index) => ({
        ...{ id: String(index), pane: String(pane), slice, tail, head },
        label: String(index + 1),
      })),
    );
    const list = this.find("marks");
    const shown = JSON.stringify(marks);
    if (list.dataset.shown !== shown) {
      list.dataset.shown = shown;
      list.replaceChildren(...marks.map((mark, index) => this.line(mark, index)));
    }
    list.hidden = marks.length === 0;
    this.find("marks-note").textContent = note;
  }

  line({ pane, slice }, index) {
    const name = `Arrow ${index + 1}`;
    const where = `${this.labels.get(pane)}, slice ${slice + 1}`;
    const show = button("btn btn-quiet btn-small", `${index + 1}: ${where}`, () => this.view.showMark(String(index)));
    show.setAttribute("aria-label", `${index + 1}: ${where}, show the arrow`);
    const remove = button("btn btn-quiet btn-small", "×", () => {
      const { marks } = this.answers.marks;
      this.change(marks.filter((_, i) => i !== index));
    });
    remove.title = `Remove ${name.toLowerCase()}`;
    remove.setAttribute("aria-label", remove.title);
    return element("li", "", show, remove);
  }
}
