/* One small box with the words of what is pointed at or focused. It never takes the focus. */

export class Tip {
  constructor(host) {
    this.box = document.createElement("div");
    this.box.className = "tip";
    this.box.hidden = true;
    this.box.setAttribute("aria-hidden", "true"); // said by the element's own description
    document.body.append(this.box);
    this.at = null;
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.hide();
    });
    window.addEventListener("scroll", () => this.hide(), { passive: true, capture: true });
    this.host = host;
  }

  /** The words of an element's title, from now on in this box. */
  takeTitle(element) {
    const words = element.getAttribute("title");
    element.removeAttribute("title");
    this.describe(element, words);
    if (element.matches("a, button")) element.setAttribute("aria-description", words);
  }

  describe(element, words) {
    element.addEventListener("pointerenter", () => this.show(element, words));
    element.addEventListener("pointerleave", () => this.hide());
    element.addEventListener("focus", () => this.show(element, words));
    element.addEventListener("blur", () => this.hide());
  }

  show(element, words) {
    this.box.textContent = words;
    this.box.hidden = false;
    this.at = element;
    const place = element.getBoundingClientRect();
    const own = this.box.getBoundingClientRect();
    const left = Math.min(
      Math.max(8, place.left + place.width / 2 - own.width / 2),
      window.innerWidth - own.width - 8,
    );
    const above = place.top - own.height - 6;
    this.box.style.left = `${left}px`;
    this.box.style.top = `${above > 4 ? above : place.bottom + 6}px`;
  }

  hide() {
    this.box.hidden = true;
    this.at = null;
  }
}
