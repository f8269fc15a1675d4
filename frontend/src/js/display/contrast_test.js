/*
 * A simple look at the display: can its darkest and brightest greys be told apart, and does it show
 * all 256? In each step one of four fields is a little brighter than its ground, and the reader says
 * which: guessing finds one in four. A display of six bits shows greys in steps of four, so the two
 * faintest patches (2 and 3 above a ground that is a multiple of four) do not exist on it, and the
 * ramp has visible bands.
 */

const GROUNDS = { dark: 8, light: 244 };
const STEPS = [11, 5, 3, 2]; // above the ground, of 255: from plain to faint
const SIZE = { width: 480, height: 320 };
const PATCH = 72;
const FIELDS = ["1", "2", "3", "4"];
const NAMES = { dark: "dark", light: "bright" };

const randomField = () => crypto.getRandomValues(new Uint8Array(1))[0] % FIELDS.length;

function make(tag, className, text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.textContent = text;
  return element;
}

const grey = (value) => `rgb(${value} ${value} ${value})`;

export class ContrastTest {
  constructor(host) {
    this.host = host;
    this.canvas = document.createElement("canvas");
    Object.assign(this.canvas, SIZE);
    this.canvas.className = "contrast-pattern";
    this.canvas.setAttribute("role", "img");
    this.question = make("p", "contrast-question");
    this.question.tabIndex = -1;
    this.answers = make("div", "row contrast-answers");
    this.progress = make("p", "muted small");
    this.progress.setAttribute("role", "status");
    host.classList.add("contrast-test");
    host.replaceChildren(this.question, this.canvas, this.answers, this.progress);
  }

  /** Resolves to {dark: {shown, seen}, light: {shown, seen}, ramp}, or null if skipped. */
  async run() {
    const result = {};
    try {
      for (const range of ["dark", "light"]) {
        result[range] = await this.patches(range);
      }
      result.ramp = await this.ramp();
      return result;
    } catch (stopped) {
      if (stopped === SKIPPED) return null;
      throw stopped;
    } finally {
      this.host.replaceChildren();
    }
  }

  async patches(range) {
    let seen = 0;
    for (const [index, step] of STEPS.entries()) {
      const field = randomField();
      this.drawPatch(GROUNDS[range], step, field);
      const number = index + 1 + (range === "light" ? STEPS.length : 0);
      this.progress.textContent = `Step ${number} of ${2 * STEPS.length + 1}`;
      const answer = await this.ask(
        `Which ${NAMES[range]} field has a brighter square in it? (Keys 1 to 4; 0: none)`,
        [...FIELDS.map((name) => [name, name]), ["0", "None that I see"]],
      );
      if (answer === FIELDS[field]) seen += 1;
    }
    return { shown: STEPS.length, seen };
  }

  drawPatch(ground, step, field) {
    const context = this.canvas.getContext("2d");
    const { width, height } = SIZE;
    context.fillStyle = grey(ground);
    context.fillRect(0, 0, width, height);
    const [column, row] = [field % 2, Math.floor(field / 2)];
    context.fillStyle = grey(ground + step);
    context.fillRect(
      (column + 0.5) * (width / 2) - PATCH / 2,
      (row + 0.5) * (height / 2) - PATCH / 2,
      PATCH,
      PATCH,
    );
    // The fields' borders and numbers, faint enough not to dazzle.
    context.fillStyle = "#5b666d";
    context.fillRect(width / 2 - 1, 0, 2, height);
    context.fillRect(0, height / 2 - 1, width, 2);
    context.font = "600 14px system-ui, sans-serif";
    FIELDS.forEach((name, index) =>
      context.fillText(name, (index % 2) * (width / 2) + 8, Math.floor(index / 2) * (height / 2) + 20),
    );
    this.canvas.setAttribute("aria-label", "Four fields; one has a faint square in its middle");
  }

  async ramp() {
    const context = this.canvas.getContext("2d");
    const { width, height } = SIZE;
    for (let x = 0; x < width; x += 1) {
      context.fillStyle = grey(Math.round((x / (width - 1)) * 255));
      context.fillRect(x, 0, 1, height);
    }
    this.canvas.setAttribute("aria-label", "A ramp from black on the left to white on the right");
    this.progress.textContent = `Step ${2 * STEPS.length + 1} of ${2 * STEPS.length + 1}`;
    return this.ask("From black to white: does it run smoothly, or in visible bands?", [
      ["smooth", "Smoothly"],
      ["banded", "In bands"],
      ["unsure", "Not sure"],
    ]);
  }

  /**
   * Buttons, also by the keys 0 to 4 where they are so named. The question has the focus, so that
   * Enter or Space, pressed by habit, answers nothing.
   */
  ask(question, choices) {
    this.question.textContent = question;
    return new Promise((resolve, reject) => {
      const end = (how, value) => {
        document.removeEventListener("keydown", pressed, true);
        how(value);
      };
      const buttons = choices.map(([value, text]) => {
        const button = make("button", "btn", text);
        button.type = "button";
        button.addEventListener("click", () => end(resolve, value));
        return button;
      });
      const skip = make("button", "btn btn-quiet", "Skip the test");
      skip.type = "button";
      skip.addEventListener("click", () => end(reject, SKIPPED));
      const pressed = (event) => {
        if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
        const choice = choices.find(([value]) => value === event.key);
        if (!choice) return;
        event.preventDefault();
        event.stopPropagation();
        end(resolve, choice[0]);
      };
      document.addEventListener("keydown", pressed, true);
      this.answers.replaceChildren(...buttons, skip);
      this.question.focus();
    });
  }
}

const SKIPPED = Symbol("skipped");
