/* Choosing the part of a slice: drag over the control, or type the millimetres. */

const crop = document.querySelector("#crop");
const field = (name) => document.querySelector(`#id_${name}`);
const NAMES = ["left", "top", "width", "height"];

function place(box, image, part) {
  const scale = image.clientWidth / Number(crop.dataset.width);
  for (const name of NAMES) box.style[name] = `${part[name] * scale}px`;
  box.hidden = false;
}

function stored() {
  const part = Object.fromEntries(NAMES.map((name) => [name, Number.parseFloat(field(name).value)]));
  return Object.values(part).every(Number.isFinite) ? part : null;
}

if (crop) {
  const image = crop.querySelector("img");
  const box = crop.querySelector(".crop-box");
  const limits = { width: Number(crop.dataset.width), height: Number(crop.dataset.height) };
  const show = () => {
    const part = stored();
    box.hidden = !part;
    if (part) place(box, image, part);
  };
  let start = null;
  const at = (event) => {
    const bounds = image.getBoundingClientRect();
    const scale = limits.width / bounds.width;
    return {
      x: Math.min(Math.max((event.clientX - bounds.left) * scale, 0), limits.width),
      y: Math.min(Math.max((event.clientY - bounds.top) * scale, 0), limits.height),
    };
  };
  crop.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    start = at(event);
    crop.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  crop.addEventListener("pointermove", (event) => {
    if (!start) return;
    const end = at(event);
    const part = {
      left: Math.min(start.x, end.x),
      top: Math.min(start.y, end.y),
      width: Math.abs(end.x - start.x),
      height: Math.abs(end.y - start.y),
    };
    if (part.width < 1 || part.height < 1) return;
    // Down to a tenth of a millimetre, and never over the edge.
    for (const name of NAMES) field(name).value = (Math.floor(part[name] * 10) / 10).toFixed(1);
    show();
  });
  crop.addEventListener("pointerup", () => {
    start = null;
  });
  for (const name of NAMES) field(name).addEventListener("input", show);
  if (image.complete) show();
  image.addEventListener("load", show);
  window.addEventListener("resize", show);
}
