/* Making elements: a tag, a class, and children that are texts or elements. */

export function element(tag, className = "", ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

/** What was typed or pasted, without what no text has: other control characters, halves of a pair. */
export function textOf(field) {
  const text = field.value.replace(/[^\P{Cc}\t\n]/gu, "").replace(/\p{Cs}/gu, "");
  return text.trim();
}

export function button(className, text, act) {
  const made = element("button", className, text);
  made.type = "button";
  made.addEventListener("click", act);
  return made;
}
