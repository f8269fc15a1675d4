/* The elements of the images: panes in their hanging, the toolbar, what is said for a moment. */
import { Arrows } from "./arrows.js";
import { FlagLayer } from "./flags.js";
import { arrange } from "./hanging.js";
import { Overlay } from "./overlay.js";
import { bindPointer } from "./pointer.js";

const SAID_MS = 3500;

function make(tag, className, parent) {
  const element = document.createElement(tag);
  element.className = className;
  parent.append(element);
  return element;
}

class PaneElements {
  constructor(parent, view) {
    this.view = view;
    this.host = make("div", "pane", parent);
    this.canvas = make("div", "pane-canvas", this.host);
    this.canvas.setAttribute("role", "img");
    this.flags = new FlagLayer(this.host);
    this.arrows = new Arrows(this.host);
    this.overlay = new Overlay(this.host, "");
    this.overlay.error.remove(); // the box below says it, with a way out
    this.troubleBox = make("div", "pane-trouble", this.host);
    this.troubleBox.setAttribute("role", "alert");
    this.troubleBox.hidden = true;
    this.troubleText = make("span", "", this.troubleBox);
    const again = make("button", "btn btn-small", this.troubleBox);
    again.type = "button";
    again.textContent = "Retry";
    again.addEventListener("click", () => view.retry());
    const { viewer, magnifier, marking } = view;
    bindPointer(guarded(view), (element) => viewer.paneOf(element), this.canvas, {
      before: (event) => marking.press(event, viewer.paneOf(this.canvas)),
      touched: (pane) => view.activate(viewer.panes.indexOf(pane)),
      hover: (pane, point) => magnifier.follow(pane, point),
      twice: (pane) => view.full(pane),
      finger: () => view.finger,
    });
  }

  name(label) {
    this.overlay.label.textContent = label;
    this.canvas.setAttribute("aria-label", /image$/i.test(label) ? label : `${label} image`);
    this.trouble(0, 0, 0);
  }

  trouble(count, total, status) {
    this.troubleBox.hidden = count === 0;
    if (!count) return;
    const what = count === total ? "This image" : `${count} of ${total} slices`;
    this.troubleText.textContent =
      status === 401
        ? `${what} could not be loaded: please sign in again.`
        : `${what} could not be loaded.`;
  }
}

/** What the pointer may do to the viewer; a scroll goes by the view, which stops the cine. */
function guarded(view) {
  const { viewer } = view;
  return {
    scroll: (steps, pane) => view.scroll(steps, pane),
    zoomBy: (...given) => viewer.zoomBy(...given),
    dragPan: (...given) => viewer.dragPan(...given),
    dragWindow: (...given) => viewer.dragWindow(...given),
  };
}

export class Layout {
  constructor(host, view) {
    this.view = view;
    this.host = host;
    host.classList.add("images");
    this.grid = make("div", "images-panes", host);
    this.loadingBox = make("div", "panes-loading", this.grid);
    this.loadingBox.hidden = true;
    this.loadingBar = make("progress", "progress", this.loadingBox);
    this.loadingBar.setAttribute("aria-label", "Slices loaded");
    this.loadingText = make("span", "", this.loadingBox);
    this.said = make("div", "images-said", this.grid);
    this.said.setAttribute("role", "status");
    this.bar = make("div", "images-bar", host);
    this.panes = [];
    this.isFull = false;
    new ResizeObserver(() => this.hang()).observe(this.grid);
  }

  build(item, geometry) {
    while (this.panes.length > item.panes.length) this.panes.pop().host.remove();
    while (this.panes.length < item.panes.length) {
      this.panes.push(new PaneElements(this.grid, this.view));
    }
    item.panes.forEach(({ label }, index) => this.panes[index].name(label));
    this.item = item;
    this.geometry = geometry;
    this.isFull = false;
    this.hang();
    this.update();
  }

  hang() {
    if (!this.item) return;
    const space = { width: this.grid.clientWidth, height: this.grid.clientHeight };
    const { columns, rows } = this.isFull
      ? { columns: 1, rows: 1 }
      : arrange(this.item.mode, this.panes.length, this.geometry, space);
    this.grid.style.setProperty("--columns", columns);
    this.grid.style.setProperty("--rows", rows);
    this.grid.dataset.hanging = `${columns}x${rows}`;
    this.host.classList.toggle("is-crowded", this.panes.length > 2 && !this.isFull);
    this.view.emit("layout", { columns, rows, full: this.isFull });
  }

  toggleFull() {
    this.isFull = !this.isFull;
    this.update();
    this.hang();
  }

  update() {
    const { viewer } = this.view;
    const apart = !viewer.linked && this.panes.length > 1;
    this.panes.forEach(({ host }, index) => {
      host.hidden = this.isFull && index !== viewer.active;
      host.classList.toggle("is-active", apart && index === viewer.active);
      host.classList.toggle("is-marking", this.view.marking?.on ?? false);
    });
  }

  loading(done, total, failed, slow) {
    this.loadingBox.hidden = done === total || failed;
    this.loadingBar.max = total;
    this.loadingBar.value = done;
    const said = slow
      ? `The images are slow to come: ${done} of ${total} slices so far. They are asked for again by themselves, and your answers are saved meanwhile.`
      : `Loading ${done} of ${total} slices`;
    if (this.loadingText.textContent !== said) this.loadingText.textContent = said;
    this.loadingBox.classList.toggle("is-slow", slow);
  }

  say(text) {
    this.said.textContent = text;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.said.textContent = "";
    }, SAID_MS);
  }
}
