/*
 * Keys of a page as one table: it answers the key presses and prints the help, so that the two
 * cannot differ. An entry: {keys, does, run, group, show?, once?}. `once`: a key that is held down
 * counts once. Single letters, digits and signs can be switched off (WCAG 2.1.4); keys such as the
 * arrows need not be.
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

const listeners = new Set();

/** As stored for the person; nobody is told. */
export function setCharacterKeys(on) {
  localStorage.setItem(SETTING, on ? "on" : "off");
}

/** `heard(on)` is called when the person switches the keys in the help dialog. */
export function onCharacterKeys(heard) {
  listeners.add(heard);
  return () => listeners.delete(heard);
}

function nameOf(event) {
  if (event.key === " ") return "Space"; // with Shift too
  const named = event.key.length > 1 && event.shiftKey ? `Shift+${event.key}` : event.key;
  return isCharacter(named) ? named.toLowerCase() : named;
}

function typing(target) {
  if (target.isContentEditable || target.tagName === "TEXTAREA") return true;
  if (target.tagName === "SELECT") return true;
  return target.tagName === "INPUT" && !["radio", "checkbox"].includes(target.type);
}

const activates = (target) => target.closest("a[href], button, summary") !== null;

function checkTable(table) {
  const keys = table.flatMap((entry) => entry.keys);
  const twice = keys.find((key, index) => keys.indexOf(key) !== index);
  if (twice) throw new Error(`Two entries of a key table claim "${twice}".`);
}

/**
 * Listens on the document; returns a function that stops listening. A table on the `window` comes
 * before the page's own, and takes Enter from a focused button too.
 */
export function bindKeys(table, target = document) {
  checkTable(table);
  const isFirst = target === window;
  const listener = (event) => {
    if (event.defaultPrevented || event.isComposing) return;
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    const name = nameOf(event);
    if (isCharacter(name) && !characterKeysOn()) return;
    // Enter or Space on a button or a link is that button's or link's.
    if (["Enter", "Space"].includes(name) && !isFirst && activates(event.target)) return;
    const entry = table.find(({ keys }) => keys.includes(name));
    if (!entry) return;
    event.preventDefault();
    event.stopPropagation();
    if (entry.once && event.repeat) return;
    entry.run(name);
  };
  // In the capture phase: up and down must not change a focused radio button.
  target.addEventListener("keydown", listener, true);
  return () => target.removeEventListener("keydown", listener, true);
}

function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

/**
 * Fill the help dialog from the key table, the mouse table ({mark, does}, or keys that hold for a
 * while: {keys, does, group}) and the hangings.
 */
export function fillHelp(dialog, table, mouse, hangings = []) {
  const groups = new Map();
  const add = (title, marks, does) => {
    if (!groups.has(title)) groups.set(title, []);
    groups.get(title).push([marks, does]);
  };
  const caps = ({ keys, show }) => (show ? [show] : keys.map((key) => NAMES[key] ?? key));
  for (const entry of table) add(entry.group, caps(entry), entry.does);
  for (const entry of mouse) {
    const { mark, does, group = "Mouse and touch" } = entry;
    add(group, mark ? [mark] : caps(entry), does);
  }
  for (const { name, does } of hangings) add("Arrangement", [name], does);
  dialog.querySelector("[data-help]").replaceChildren(
    ...[...groups].map(([title, rows]) => helpGroup(title, rows)),
  );
  const box = dialog.querySelector("[data-character-keys]");
  box.checked = characterKeysOn();
  box.onchange = () => {
    setCharacterKeys(box.checked);
    for (const heard of listeners) heard(box.checked);
  };
}

function helpGroup(title, rows) {
  const list = element("dl", "key-list");
  for (const [marks, does] of rows) {
    const caps = marks.flatMap((mark, index) => [
      ...(index ? [" "] : []),
      element("kbd", "", mark),
    ]);
    list.append(element("dt", "", ...caps), element("dd", "", does));
  }
  return element("section", "key-group", element("h3", "", title), list);
}
