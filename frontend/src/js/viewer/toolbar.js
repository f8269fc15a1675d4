/* The images' buttons: every key of the table that has a name for one, and one for each preset. */
import { KEYS } from "./controls.js";

function make(text, { key, title, name }, press) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "tool";
  button.textContent = text;
  if (title) button.title = key ? `${title} (${key})` : title;
  if (key) button.setAttribute("aria-keyshortcuts", key);
  if (name) button.dataset.tool = name;
  button.addEventListener("click", press);
  return button;
}

export class Toolbar {
  constructor(host, view) {
    this.view = view;
    host.setAttribute("role", "group");
    host.setAttribute("aria-label", "Image tools");
    this.host = host;
  }

  /** Anew for an item: its presets, and the tools that make sense for so many panes. */
  fill(presets) {
    const { view } = this;
    const keyOf = (index) => KEYS.find(({ act }) => act[0] === "preset" && act[1] === index)?.keys[0];
    this.presets = presets.slice(0, KEYS.filter(({ preset }) => preset).length).map((preset, index) =>
      make(preset.name, { key: keyOf(index), title: "Window", name: `preset-${index}` }, () => view.preset(index)),
    );
    this.tools = view.controls().flatMap((entry) =>
      entry.button
        ? [{ entry, button: make(entry.button, { key: entry.keys[0], title: entry.does, name: entry.act[0] }, () => view.run(entry)) }]
        : [],
    );
    this.rate = document.createElement("span");
    this.rate.className = "tool-rate";
    this.finger = make("", { title: "What one finger does on the image", name: "finger" }, () => view.changeFinger());
    this.finger.classList.add("tool-touch");
    this.legend = document.createElement("span");
    this.legend.className = "tool-legend";
    this.legend.textContent = view.flagsMeaning();
    const groups = [this.presets, this.tools.map(({ button }) => button), [this.finger, this.rate, this.legend]];
    this.host.replaceChildren(
      ...groups
        .filter((buttons) => buttons.length)
        .map((buttons) => {
          const group = document.createElement("div");
          group.className = "tools";
          group.append(...buttons);
          return group;
        }),
    );
    this.update();
  }

  update() {
    const { view } = this;
    if (!this.tools) return;
    const pressed = view.switches();
    for (const { entry, button } of this.tools) {
      if (entry.pressed) button.setAttribute("aria-pressed", String(pressed[entry.pressed]));
    }
    this.presets.forEach((button, index) =>
      button.setAttribute("aria-pressed", String(view.presetShown() === index)),
    );
    this.rate.textContent = pressed.cine ? `${view.cine.rate} slices/s` : "";
    this.rate.hidden = !pressed.cine;
    this.legend.hidden = !pressed.flags;
    this.finger.textContent = view.finger === "slice" ? "Finger: slice" : "Finger: window";
  }
}
