/* The list of tissues and the table of what the server measured. */

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

const COLUMNS = ["mean", "sd", "snr", "cnr"];

/** How numbers of a column are written: four digits of the largest, as many decimals for all. */
function writer(values) {
  const known = values.filter((value) => value !== null && value !== undefined);
  const largest = Math.max(...known.map(Math.abs), 1e-9);
  const decimals = Math.min(Math.max(3 - Math.floor(Math.log10(largest)), 0), 4);
  return (value) => (known.includes(value) ? value.toFixed(decimals) : "–");
}

/** One row an arm: mean, SD, SNR and CNR of the chosen tissue. */
export function fillTable(table, arms, tissue, region) {
  table.querySelector("caption").textContent = tissue
    ? `${tissue.name.charAt(0).toUpperCase()}${tissue.name.slice(1)} by arm`
    : "Measurements";
  const body = table.tBodies[0];
  body.replaceChildren();
  const measured = new Map(region?.measurements.map((one) => [one.arm, one]));
  const written = COLUMNS.map((name) => writer([...measured.values()].map((one) => one[name])));
  for (const arm of arms) {
    const row = body.insertRow();
    const name = element("th", "", arm.name);
    name.scope = "row";
    row.append(name);
    COLUMNS.forEach((column, index) => {
      row.append(element("td", "num", written[index](measured.get(arm.code)?.[column])));
    });
  }
}

export function warningsOf(region, arms) {
  if (!region) return [];
  return region.measurements.flatMap(({ arm, warnings }) =>
    warnings.map((text) => `${arms.find(({ code }) => code === arm)?.name ?? arm}: ${text}`),
  );
}
