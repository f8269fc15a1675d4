/* Small pieces that the upload page is made of. */

export function element(tag, className = "", text = "", attributes = {}) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

export function field(labelText, control, help) {
  const label = element("label", "field");
  label.append(element("span", "", labelText), control, element("span", "help", help));
  return label;
}

export function button(label, act, kind = "") {
  const made = element("button", `btn btn-small ${kind}`, label, { type: "button" });
  made.addEventListener("click", () => act(made));
  return made;
}

export function size(bytes) {
  if (bytes < 1e6) return `${Math.ceil(bytes / 1e3)} kB`;
  if (bytes < 1e9) return `${(bytes / 1e6).toFixed(1)} MB`;
  return `${(bytes / 1e9).toFixed(2)} GB`;
}
