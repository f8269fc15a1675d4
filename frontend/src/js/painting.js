/* Runs beside the page: makes the pictures that aside.js asks for, one after the other. */
import { Picture } from "./viewer/picture.js";

const picture = new Picture();
let held = null; // pixels of the slice last painted: another window or zoom needs them again

self.onmessage = ({ data: { pixels, buffer, ...view } }) => {
  held = pixels ?? held;
  picture.paint(new Uint32Array(buffer), { ...view, pixels: held });
  self.postMessage(buffer, [buffer]);
};
