/*
 * The criteria panel: one group of five real radio buttons a criterion, each with its wording.
 * One criterion is the current one: digits and left/right go there, wherever the focus is.
 */

function element(tag, className, text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

/** "1 obviously inferior" and "obviously inferior" both give the wording alone, capitalised. */
function wording(anchor, value) {
  const text = String(anchor).replace(new RegExp(`^\\s*${value}\\s*[:.–-]?\\s*`), "");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export class CriteriaPanel extends EventTarget {
  constructor(host, questionHost) {
    super();
    this.host = host;
    this.questionHost = questionHost;
    this.groups = [];
    this.current = 0;
    host.addEventListener("change", (event) => {
      const { criterion } = event.target.dataset;
      if (criterion) this.choose(criterion, Number(event.target.value));
    });
    host.addEventListener("focusin", (event) => {
      const index = this.groups.findIndex(({ fieldset }) => fieldset.contains(event.target));
      if (index >= 0) this.mark(index);
    });
  }

  show(criteria, autosave) {
    this.autosave = autosave;
    this.groups = criteria.map((criterion) => this.group(criterion));
    this.host.replaceChildren(...this.groups.map(({ fieldset }) => fieldset));
    this.update();
    const open = criteria.findIndex(({ code }) => autosave.get(code).value === null);
    this.mark(Math.max(open, 0));
  }

  group(criterion) {
    const fieldset = element("fieldset", "criterion");
    const legend = element("legend", "criterion-name", criterion.name);
    const question = element("span", "visually-hidden", criterion.question);
    question.id = `question-${criterion.code}`;
    fieldset.setAttribute("aria-describedby", `${question.id} note-${criterion.code}`);
    const state = element("span", "criterion-state");
    const note = element("p", "criterion-note");
    note.id = `note-${criterion.code}`;
    const points = element("div", "points");
    const radios = criterion.anchors.map((anchor, index) => {
      const value = index + 1;
      const label = element("label", "point");
      const radio = element("input", "point-radio");
      radio.type = "radio";
      radio.name = criterion.code;
      radio.value = String(value);
      radio.dataset.criterion = criterion.code;
      const digit = element("span", "point-digit", String(value));
      label.append(radio, digit, element("span", "point-wording", wording(anchor, value)));
      points.append(label);
      return radio;
    });
    fieldset.append(legend, state, question, points, note);
    return { criterion, fieldset, radios, state, note };
  }

  /** Bring what is shown in line with what is stored. */
  update() {
    const names = { empty: "", saved: "Saved", saving: "Saving…", failed: "Not saved" };
    for (const { criterion, fieldset, radios, state, note } of this.groups) {
      const entry = this.autosave.get(criterion.code);
      for (const radio of radios) radio.checked = Number(radio.value) === entry.value;
      fieldset.dataset.state = entry.state;
      state.textContent = names[entry.state];
      if (entry.value !== null) fieldset.classList.remove("is-missing");
      note.textContent =
        entry.note || (fieldset.classList.contains("is-missing") ? "Please choose a score." : "");
    }
  }

  mark(index) {
    this.current = index;
    this.groups.forEach(({ fieldset }, i) => fieldset.classList.toggle("is-current", i === index));
    this.questionHost.textContent = this.groups[index]?.criterion.question ?? "";
  }

  /** Focus a criterion: its chosen point, or its first. One past the end emits "finished". */
  focus(index) {
    if (index >= this.groups.length) {
      this.dispatchEvent(new Event("finished"));
      return;
    }
    const group = this.groups[Math.max(index, 0)];
    const target = group.radios.find(({ checked }) => checked) ?? group.radios[0];
    target.focus({ preventScroll: true });
    group.fieldset.scrollIntoView({ block: "nearest" });
    this.mark(Math.max(index, 0));
  }

  choose(code, value) {
    this.autosave.choose(code, value);
  }

  /** A digit: score the current criterion and go on to the next. */
  score(value) {
    const group = this.groups[this.current];
    if (!group || value > group.radios.length) return;
    this.choose(group.criterion.code, value);
    this.focus(this.current + 1);
  }

  /** Left and right: one point down or up; from none, the middle of the scale. */
  nudge(step) {
    const group = this.groups[this.current];
    if (!group) return;
    const points = group.radios.length;
    const { value } = this.autosave.get(group.criterion.code);
    const next = value === null ? Math.ceil(points / 2) : Math.min(points, Math.max(1, value + step));
    this.choose(group.criterion.code, next);
    this.focus(this.current);
  }

  /** Show which criteria are missing and go to the first. */
  demand(codes) {
    for (const { criterion, fieldset } of this.groups) {
      fieldset.classList.toggle("is-missing", codes.includes(criterion.code));
    }
    this.update();
    this.focus(this.groups.findIndex(({ criterion }) => codes.includes(criterion.code)));
  }
}
