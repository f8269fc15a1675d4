/*
 * Keys of a page as one table: it answers the key presses and prints the help, so that the two
 * cannot differ. An entry: {keys, does, run, group, character?}. `character` marks a single letter,
 * digit or sign; those can be switched off (WCAG 2.1.4), keys such as the arrows need not be.
 */

const SETTING = "readerstudy.character-keys";
const NAMES = {
  ArrowUp: "↑",
  ArrowDown: "↓",
  ArrowLeft: "←",
  ArrowRight: "→",
  "Shift+ArrowUp": "Shift ↑",
  "Shift+ArrowDown": "Shift ↓",
  "Shift+ArrowLeft": "Shift ←",
  "Shift+ArrowRight": "Shift →",
};

const isCharacter = (key) => key.length === 1;

export function characterKeysOn() {
  return localStorage.getItem(SETTING) !== "off";
}

export function setCharacterKeys(on) {
  localStorage.setItem(SETTING, on ? "on" : "off");
}

function nameOf(event) {
  const named = event.key.length > 1 && event.shiftKey ? `Shift+${event.key}` : event.key;
  return isCharacter(named) ? named.toLowerCase() : named;
}

function typing(target) {
  if (target.isContentEditable || target.tagName === "TEXTAREA") return true;
  if (target.tagName === "SELECT") return true;
  return target.tagName === "INPUT" && !["radio", "checkbox"].includes(target.type);
}

const activates = (target) => target.closest("a[href], button, summary") !== null;

/** Listens on the document; returns a function that stops listening. */
export function bindKeys(table) {
  const listener = (event) => {
    if (event.defaultPrevented || event.isComposing) return;
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    const name = nameOf(event);
    if (isCharacter(name) && !characterKeysOn()) return;
    // Enter on a button or a link is that button's or link's.
    if (name === "Enter" && activates(event.target)) return;
    const entry = table.find(({ keys }) => keys.includes(name));
    if (!entry) return;
    event.preventDefault();
    event.stopPropagation();
    entry.run(name);
  };
  // In the capture phase: up and down must not change a focused radio button.
  document.addEventListener("keydown", listener, true);
  return () => document.removeEventListener("keydown", listener, true);
}

function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

/** Fill the help dialog from the key table and the mouse table. */
export function fillHelp(dialog, table, mouse) {
  const body = dialog.querySelector("[data-help]");
  body.replaceChildren();
  const groups = new Map();
  for (const entry of table) {
    if (!groups.has(entry.group)) groups.set(entry.group, []);
    groups.get(entry.group).push([
      entry.show ? [entry.show] : entry.keys.map((key) => NAMES[key] ?? key),
      entry.does,
    ]);
  }
  if (mouse.length) groups.set("Mouse and touch", mouse.map(({ mark, does }) => [[mark], does]));
  for (const [title, rows] of groups) {
    const list = element("dl", "key-list");
    for (const [marks, does] of rows) {
      const caps = marks.flatMap((mark, i) => (i ? [" ", element("kbd", "", mark)] : [element("kbd", "", mark)]));
      list.append(element("dt", "", ...caps), element("dd", "", does));
    }
    body.append(element("section", "key-group", element("h3", "", title), list));
  }
  const box = dialog.querySelector("[data-character-keys]");
  box.checked = characterKeysOn();
  box.onchange = () => setCharacterKeys(box.checked);
}
