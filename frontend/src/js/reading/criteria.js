/*
 * The criteria panel. One criterion is the current one: digits and left/right go there, wherever the
 * focus is. What is chosen goes through `give`, which may ask for a reason first and answers whether
 * it was given; what is shown is always what the answers hold.
 *
 * Emits "finished" when the reader moves past the last criterion.
 */
import { RankingGroup } from "./ranking_group.js";
import { ChoiceGroup, ScaleGroup } from "./scale_group.js";

const KINDS = { relative: ScaleGroup, absolute: ScaleGroup, choice: ChoiceGroup, ranking: RankingGroup };

export class CriteriaPanel extends EventTarget {
  /** `acts`: give(code, answer) -> Promise of true if given; cannot(code). */
  constructor(host, questionHost, acts) {
    super();
    this.host = host;
    this.questionHost = questionHost;
    this.acts = acts;
    this.groups = [];
    this.current = 0;
    host.addEventListener("focusin", (event) => {
      const index = this.groups.findIndex((group) => group.contains(event.target));
      if (index < 0) return;
      this.mark(index);
      // What lies under a pressed mouse button must not move: the click follows.
      if (event.target.matches(":focus-visible")) this.keepInSight();
    });
    host.addEventListener("click", () => this.keepInSight());
    // A comment, arrows or a note take room: the current criterion stays in sight.
    this.sizes = new ResizeObserver((entries) => {
      const current = this.groups[this.current]?.box;
      if (entries.some(({ target }) => target === host || target === current)) this.keepInSight();
    });
  }

  keepInSight() {
    this.groups[this.current]?.box.scrollIntoView({ block: "nearest" });
  }

  show(item, answers) {
    this.answers = answers;
    this.lastCode = null;
    const Kind = KINDS[item.mode];
    this.groups = item.criteria.map((criterion, index) => {
      const group = new Kind(
        criterion,
        {
          give: async (answer) => {
            this.lastCode = criterion.code;
            const given = await this.acts.give(criterion.code, answer);
            this.update();
            return given;
          },
          cannot: (code) => this.cannotAssess(code),
        },
        item,
      );
      group.completed = () => this.focus(index + 1);
      return group;
    });
    this.host.replaceChildren(...this.groups.map(({ box }) => box));
    this.sizes.disconnect();
    for (const watched of [this.host, ...this.host.children]) this.sizes.observe(watched);
    this.host.dataset.mode = item.mode;
    this.update();
    const open = this.groups.findIndex(({ criterion }) => !answers.isAnswered(criterion.code));
    this.mark(Math.max(open, 0));
  }

  /** Bring what is shown in line with what is held. */
  update() {
    for (const group of this.groups) {
      const { code } = group.criterion;
      group.update(this.answers.get(code), this.answers.state(code));
    }
  }

  /** What the server says to the last choice of a practice item: its wording in the protocol. */
  feedback() {
    const entry = this.lastCode === null ? null : this.answers.get(this.lastCode);
    return entry?.feedback ? `${entry.criterion.name}: ${entry.feedback}` : "";
  }

  /** Codes without an answer, and those whose answer was begun anew and not finished. */
  missing() {
    const missing = this.answers.missing();
    return this.groups
      .filter((group) => missing.includes(group.criterion.code) || group.isHalfDone())
      .map(({ criterion }) => criterion.code);
  }

  mark(index) {
    this.current = index;
    this.groups.forEach(({ box }, i) => box.classList.toggle("is-current", i === index));
    this.questionHost.textContent = this.groups[index]?.criterion.question ?? "";
  }

  /** Focus a criterion: its chosen point, or its first. One past the end emits "finished". */
  focus(index) {
    if (index >= this.groups.length) {
      this.dispatchEvent(new Event("finished"));
      return;
    }
    const group = this.groups[Math.max(index, 0)];
    group.target().focus({ preventScroll: true });
    this.mark(Math.max(index, 0));
    this.keepInSight();
  }

  /** A digit: answers the current criterion and goes on to the next; in a ranking, the next rank. */
  async digit(number) {
    const group = this.groups[this.current];
    if (!group) return;
    if (group instanceof RankingGroup) {
      if (number <= group.labels.length) group.press(number - 1);
      return;
    }
    const value = group.fromDigit(number);
    if (value === undefined) return;
    const at = this.current;
    if (await group.give({ value })) this.focus(at + 1);
  }

  /** Left and right: a point down or up, the left or the right image, or along the ranks. */
  async step(direction) {
    const group = this.groups[this.current];
    if (!group) return;
    if (group instanceof RankingGroup) {
      group.walk(direction);
      return;
    }
    const at = this.current;
    const value = group.fromStep(direction, this.answers.get(group.criterion.code));
    await group.give({ value });
    this.focus(at);
  }

  next() {
    this.focus(Math.min(this.current + 1, this.groups.length - 1));
  }

  before() {
    this.focus(this.current - 1);
  }

  takeBack() {
    this.groups[this.current]?.takeBack?.();
  }

  cannot() {
    const group = this.groups[this.current];
    if (group) this.cannotAssess(group.criterion.code);
  }

  cannotAssess(code) {
    this.lastCode = code;
    this.acts.cannot(code);
  }

  /** Show which criteria are missing and go to the first. */
  demand(codes) {
    for (const group of this.groups) group.isMissing = codes.includes(group.criterion.code);
    this.update();
    this.focus(this.groups.findIndex(({ criterion }) => codes.includes(criterion.code)));
  }
}
