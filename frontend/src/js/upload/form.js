/* The upload page's form: for whom the files are, and where they are picked or dropped. */
import { element, field } from "./elements.js";
import { dropped, picked } from "./files.js";

/** Builds the form in `root`; `send(entries, chosen)` is called with what was picked or dropped. */
export function makeForm(root, send) {
  const volunteer = element("input", "", "", { list: "upload-volunteers", autocomplete: "off", maxlength: "50" });
  const known = element("datalist", "", "", { id: "upload-volunteers" });
  for (const code of JSON.parse(root.dataset.volunteers || "[]")) {
    known.append(element("option", "", "", { value: code }));
  }
  const arm = element("select");
  arm.append(element("option", "", "From the folder names", { value: "" }));
  for (const { code, name } of JSON.parse(root.dataset.arms || "[]")) {
    arm.append(element("option", "", name, { value: code }));
  }
  const site = element("select");
  const sites = JSON.parse(root.dataset.sites || "[]");
  site.append(element("option", "", "Of volunteers that are known", { value: "" }));
  for (const { code, name } of sites) site.append(element("option", "", name, { value: code }));
  const places = element("div", "field-row");
  if (sites.length) places.append(field("Site", site, "Where new volunteers were scanned"));
  places.append(
    field("Volunteer", volunteer, "A study code; empty: from the folder names"),
    known,
    field("Arm", arm, "Derived arms are made here, not sent"),
  );

  const mapping = element("input", "", "", { type: "file", accept: ".csv,text/csv" });
  const pattern = element("input", "", "", { autocomplete: "off", maxlength: "200", placeholder: "{volunteer}/*{arm}*" });
  const many = element("details", "more");
  const manyFields = element("div", "field-row");
  manyFields.append(
    field("Mapping file", mapping, "CSV, one folder a line"),
    field("Or a pattern of folders", pattern, "Codes in braces, * for anything"),
  );
  many.append(
    element("summary", "", "Many people from one folder tree"),
    manyFields,
    element("p", "small muted", "The first line of a mapping file is path,volunteer,arm; a path is a folder or a pattern with *. In a pattern, {volunteer} and {arm} stand for the codes."),
  );
  const drop = element("div", "dropzone");
  const files = element("input", "visually-hidden", "", { type: "file", multiple: "", tabindex: "-1", "aria-label": "Files or a zip" });
  const folder = element("input", "visually-hidden", "", { type: "file", webkitdirectory: "", tabindex: "-1", "aria-label": "A folder" });
  const pickFiles = element("button", "btn btn-primary", "Choose files or a zip", { type: "button" });
  const pickFolder = element("button", "btn", "Choose a folder", { type: "button" });
  const buttons = element("div", "row");
  buttons.append(pickFiles, pickFolder);
  drop.append(element("p", "strong", "Drop a zip, files or a folder here"), buttons, files, folder);
  root.append(places, many, drop);

  const chosen = () => ({
    target: { volunteer: volunteer.value.trim(), arm: arm.value, ...(site.value && { site: site.value }) },
    mapping: mapping.files[0],
    pattern: pattern.value.trim(),
  });

  pickFiles.addEventListener("click", () => files.click());
  pickFolder.addEventListener("click", () => folder.click());
  for (const input of [files, folder]) {
    input.addEventListener("change", () => {
      send(picked(input.files), chosen());
      input.value = "";
    });
  }
  for (const name of ["dragenter", "dragover"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.add("is-over");
    });
  }
  drop.addEventListener("dragleave", (event) => {
    if (!drop.contains(event.relatedTarget)) drop.classList.remove("is-over");
  });
  drop.addEventListener("drop", async (event) => {
    event.preventDefault();
    drop.classList.remove("is-over");
    send(await dropped(event.dataTransfer), chosen());
  });
}
