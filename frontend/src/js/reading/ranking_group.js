/*
 * A criterion answered by ranking all images, best first. Pressing an image gives it the next rank;
 * pressing a ranked one takes its rank back, and those that came after. A ranking counts when every
 * image has its rank; one that was begun is kept in this browser.
 */
import { CriterionGroup } from "./criterion_group.js";
import { button, element } from "./elements.js";
import { bestFirst } from "./wording.js";

const ORDINALS = { 1: "1st", 2: "2nd", 3: "3rd" };
export const ordinal = (rank) => ORDINALS[rank] ?? `${rank}th`;

export class RankingGroup extends CriterionGroup {
  constructor(criterion, acts, { token, panes }) {
    super(criterion, acts);
    this.labels = panes.map(({ label }) => label);
    this.key = `readerstudy.ranking.${token}.${criterion.code}`;
    this.draft = this.begun();
    const box = element("div", "ranks");
    this.buttons = this.labels.map((label, index) => {
      const made = button("rank", "", () => this.press(index));
      made.append(
        element("span", "visually-hidden", "Image "),
        element("span", "rank-label", label),
        element("span", "rank-place"),
      );
      made.dataset.rank = label;
      return made;
    });
    box.append(...this.buttons);
    this.finish(box, "group");
  }

  begun() {
    try {
      const draft = JSON.parse(localStorage.getItem(this.key));
      return Array.isArray(draft) && draft.every((index) => index < this.labels.length) ? draft : null;
    } catch {
      return null;
    }
  }

  keep() {
    if (this.draft) localStorage.setItem(this.key, JSON.stringify(this.draft));
    else localStorage.removeItem(this.key);
  }

  /** Indices of the ranked images, best first: the one being made, else the one that is stored. */
  order() {
    if (this.draft) return this.draft;
    const ranks = this.value ?? [];
    return ranks.map((_, index) => index).sort((a, b) => ranks[a] - ranks[b]);
  }

  press(index) {
    const order = this.order();
    const place = order.indexOf(index);
    this.set(place >= 0 ? order.slice(0, place) : [...order, index]);
  }

  takeBack() {
    this.set(this.order().slice(0, -1));
  }

  async set(order) {
    this.draft = order;
    if (order.length === this.labels.length) {
      const ranks = order.map((_, index) => order.indexOf(index) + 1);
      const isGiven = await this.give({ value: ranks });
      if (isGiven) this.draft = null;
      else this.draft = order.slice(0, -1);
      this.keep();
      this.refresh();
      if (isGiven) this.completed?.();
      return;
    }
    this.keep();
    this.refresh();
  }

  show({ value }) {
    this.value = value;
    this.refresh();
  }

  refresh() {
    const order = this.order();
    this.buttons.forEach((made, index) => {
      const place = order.indexOf(index) + 1;
      made.querySelector(".rank-place").textContent = place ? ordinal(place) : "–";
      made.setAttribute("aria-pressed", String(place > 0));
    });
    this.box.classList.toggle("is-half-done", this.isHalfDone());
    if (!this.isHalfDone() || this.isMissing) return;
    const ranked = order.map((index) => this.labels[index]).join(", ");
    const rest = this.labels.length - order.length;
    this.note.dataset.plain = "false";
    this.note.textContent = order.length
      ? `Best first: ${ranked}; ${rest} to go.`
      : "Press the best image first.";
  }

  noteOf(entry) {
    const note = super.noteOf(entry);
    if (note || !entry.value || this.draft) return note;
    return `Best first: ${bestFirst(entry.value, this.labels)}`;
  }

  isHalfDone() {
    return this.draft !== null && (this.draft.length > 0 || this.value !== null);
  }

  demand() {
    return "Please rank every image, or say that it cannot be assessed.";
  }

  target() {
    const order = this.order();
    return this.buttons.find((_, index) => !order.includes(index)) ?? this.buttons[0];
  }

  /** Left and right walk along the images. */
  walk(step) {
    const now = Math.max(0, this.buttons.indexOf(document.activeElement));
    const { length } = this.buttons;
    this.buttons[(now + step + length) % length].focus();
  }
}
