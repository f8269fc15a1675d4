/* While series of the inbox are being stored: look again, unless somebody is filling in the form. */
const LOOK_AGAIN_MS = 2000;
const form = document.querySelector("form[data-moving]");
let touched = false;
form?.addEventListener("input", () => {
  touched = true;
});
setInterval(() => {
  if (form && !touched) window.location.reload();
}, LOOK_AGAIN_MS);
