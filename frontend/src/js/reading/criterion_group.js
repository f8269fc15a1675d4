/*
 * One criterion on the panel: its name, its state, "Cannot assess", and what its kind of question
 * adds (points of a scale, the two sides, the images to rank).
 *
 * A group asks for a change through `give(answer)`; what is stored comes back through `update`.
 */
import { button, element } from "./elements.js";

const STATES = { empty: "", saved: "Saved", saving: "Saving…", waiting: "Waiting" };

export class CriterionGroup {
  constructor(criterion, { give, cannot }) {
    this.criterion = criterion;
    this.give = give;
    const { code } = criterion;
    this.name = element("span", "criterion-name", criterion.name);
    this.name.id = `name-${code}`;
    this.question = element("span", "visually-hidden", criterion.question);
    this.question.id = `question-${code}`;
    this.state = element("span", "criterion-state");
    this.note = element("p", "criterion-note");
    this.note.id = `note-${code}`;
    this.cannotButton = button("criterion-cannot", "Cannot assess", () => cannot(code));
    this.cannotButton.dataset.cannot = code;
    this.cannotButton.setAttribute("aria-describedby", this.name.id);
    this.box = element(
      "div",
      "criterion",
      element("div", "criterion-head", this.name, this.state, this.cannotButton),
      this.question,
    );
    this.box.dataset.group = code;
    this.isMissing = false;
  }

  /** Called by each kind once it has added its controls. */
  finish(controls, role) {
    controls.setAttribute("role", role);
    controls.setAttribute("aria-labelledby", this.name.id);
    controls.setAttribute("aria-describedby", `${this.question.id} ${this.note.id}`);
    this.controls = controls;
    this.box.append(controls, this.note);
  }

  update(entry, state) {
    this.box.dataset.state = state;
    this.state.textContent = STATES[state];
    const cannot = entry.cannot_assess !== "";
    this.cannotButton.setAttribute("aria-pressed", String(cannot));
    if (state !== "empty") this.isMissing = false;
    this.box.classList.toggle("is-missing", this.isMissing);
    this.note.textContent = this.noteOf(entry);
    this.note.dataset.plain = String(!entry.note && !this.isMissing); // told, not warned of
    this.note.dataset.demand = String(this.isMissing && !entry.note);
    this.show(entry);
  }

  noteOf(entry) {
    if (entry.note) return entry.note;
    if (this.isMissing) return this.demand();
    if (entry.cannot_assess) return `Cannot assess: ${entry.cannot_assess}`;
    return "";
  }

  demand() {
    return "Please choose, or say that it cannot be assessed.";
  }

  /** Whether something was begun that is no answer yet. */
  isHalfDone() {
    return false;
  }

  contains(target) {
    return this.box.contains(target);
  }
}
