/*
 * A criterion answered by one of a few points: the five of a scale with their wording, or the left
 * or the right image. Real radio buttons under the labels.
 */
import { CriterionGroup } from "./criterion_group.js";
import { element } from "./elements.js";
import { wording } from "./wording.js";

/* Some browsers choose the point in focus when Space is let go: see the key table. */
const stopSpace = (event) => event.key === " " && event.preventDefault();

class PointsGroup extends CriterionGroup {
  build(points) {
    const { code } = this.criterion;
    const box = element("div", `points points-${points.length}`);
    this.radios = points.map(({ value, mark, text }) => {
      const radio = element("input", "point-radio");
      Object.assign(radio, { type: "radio", name: code, value: String(value) });
      radio.dataset.criterion = code;
      radio.addEventListener("change", () => this.give({ value }));
      radio.addEventListener("keyup", stopSpace);
      box.append(
        element("label", "point", radio, element("span", "point-digit", mark), element("span", "point-wording", text)),
      );
      return radio;
    });
    this.values = points.map(({ value }) => value);
    this.finish(box, "radiogroup");
    box.setAttribute("aria-required", "true");
  }

  show({ value }) {
    this.radios.forEach((radio, index) => {
      radio.checked = this.values[index] === value;
    });
    this.controls.setAttribute("aria-invalid", String(this.isMissing));
  }

  target() {
    return this.radios.find(({ checked }) => checked) ?? this.radios[0];
  }

  /** What a digit answers, or undefined. */
  fromDigit(digit) {
    return this.values[digit - 1];
  }
}

export class ScaleGroup extends PointsGroup {
  constructor(criterion, acts) {
    super(criterion, acts);
    this.build(
      criterion.anchors.map((anchor, index) => ({
        value: index + 1,
        mark: String(index + 1),
        text: wording(anchor, index + 1),
      })),
    );
  }

  /** One point down or up; from none, the middle of the scale. */
  fromStep(step, { value }) {
    const points = this.values.length;
    return value === null ? Math.ceil(points / 2) : Math.min(points, Math.max(1, value + step));
  }
}

export class ChoiceGroup extends PointsGroup {
  constructor(criterion, acts) {
    super(criterion, acts);
    this.build([
      { value: "left", mark: "←", text: "Left" },
      { value: "right", mark: "→", text: "Right" },
    ]);
  }

  fromStep(step) {
    return step < 0 ? "left" : "right";
  }
}
