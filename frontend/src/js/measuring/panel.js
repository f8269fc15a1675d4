/* The list of tissues and the table of what the server measured. */

const figure = new Intl.NumberFormat("en", { maximumSignificantDigits: 4, useGrouping: false });

function element(tag, className, text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

function swatch(colour) {
  const dot = element("span", "swatch");
  dot.style.background = colour;
  return dot;
}

export class TissueList {
  constructor(host, tissues, choose) {
    this.items = tissues.map((tissue, index) => {
      const label = element("label", "tissue");
      const radio = element("input", "");
      radio.type = "radio";
      radio.name = "tissue";
      radio.value = tissue.code;
      radio.addEventListener("change", () => choose(index));
      const state = element("span", "tissue-state");
      const key = index < 9 ? element("kbd", "", String(index + 1)) : "";
      label.append(radio, swatch(tissue.colour), element("span", "tissue-name", tissue.name), state, key);
      host.append(label);
      return { tissue, label, radio, state };
    });
  }

  update(regions, selected) {
    const words = { moving: "moving…", saving: "saving…", failed: "not saved" };
    for (const { tissue, label, radio, state } of this.items) {
      const region = regions.get(tissue.code);
      radio.checked = tissue.code === selected;
      label.classList.toggle("is-selected", radio.checked);
      label.classList.toggle("is-placed", Boolean(region));
      label.dataset.state = region?.state ?? "none";
      state.textContent = region ? (words[region.state] ?? `slice ${region.slice_index + 1}`) : "not placed";
    }
  }
}

const ratio = (value) => (value === null || value === undefined ? "–" : figure.format(value));

/** One row an arm: mean, SD, SNR and CNR of the chosen tissue. */
export function fillTable(table, arms, tissue, region) {
  table.querySelector("caption").textContent = tissue
    ? `${tissue.name.charAt(0).toUpperCase()}${tissue.name.slice(1)} by arm`
    : "Measurements";
  const body = table.tBodies[0];
  body.replaceChildren();
  for (const arm of arms) {
    const measured = region?.measurements.find((one) => one.arm === arm.code);
    const row = body.insertRow();
    const name = element("th", "", arm.name);
    name.scope = "row";
    row.append(name);
    const figures = measured
      ? [
          figure.format(measured.mean),
          figure.format(measured.sd),
          ratio(measured.snr),
          ratio(measured.cnr),
        ]
      : ["–", "–", "–", "–"];
    for (const text of figures) row.append(element("td", "num", text));
  }
}

export function warningsOf(region, arms) {
  if (!region) return [];
  return region.measurements.flatMap(({ arm, warnings }) =>
    warnings.map((text) => `${arms.find(({ code }) => code === arm)?.name ?? arm}: ${text}`),
  );
}
