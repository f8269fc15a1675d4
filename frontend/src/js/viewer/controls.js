/*
 * Keys, mouse, touch and hanging as one table: it answers the events, fills the toolbar and prints
 * the help, so that none of them can say what another does not do.
 *
 * A key: {keys, does, act} and, where the toolbar has it, {button, pressed?}. `act` names a method of
 * ReadingView and its arguments. Digits are scores and never stand here.
 */

export const KEYS = [
  { keys: ["ArrowUp"], does: "Slice before", act: ["scroll", -1] },
  { keys: ["ArrowDown"], does: "Next slice", act: ["scroll", 1] },
  { keys: ["PageUp"], does: "Five slices back", act: ["scroll", -5] },
  { keys: ["PageDown"], does: "Five slices on", act: ["scroll", 5] },
  { keys: ["Home"], does: "First slice", act: ["scroll", -Infinity] },
  { keys: ["End"], does: "Last slice", act: ["scroll", Infinity] },
  { keys: ["q"], does: "Window preset 1", act: ["preset", 0], preset: true },
  { keys: ["w"], does: "Window preset 2", act: ["preset", 1], preset: true },
  { keys: ["e"], does: "Window preset 3", act: ["preset", 2], preset: true },
  { keys: ["t"], does: "Window preset 4", act: ["preset", 3], preset: true },
  { keys: ["b"], does: "Brighter", act: ["level", -1] },
  { keys: ["d"], does: "Darker", act: ["level", 1] },
  { keys: ["h"], does: "Higher contrast (narrower window)", act: ["contrast", 1] },
  { keys: ["l"], does: "Lower contrast (wider window)", act: ["contrast", -1] },
  { keys: ["i"], does: "Invert", act: ["invert"], button: "Invert", pressed: "invert" },
  { keys: ["+", "="], show: "+", does: "Enlarge", act: ["zoom", 1.2] },
  { keys: ["-"], does: "Reduce", act: ["zoom", 1 / 1.2] },
  { keys: ["Shift+ArrowLeft"], does: "Move the image left", act: ["pan", -1, 0] },
  { keys: ["Shift+ArrowRight"], does: "Move the image right", act: ["pan", 1, 0] },
  { keys: ["Shift+ArrowUp"], does: "Move the image up", act: ["pan", 0, -1] },
  { keys: ["Shift+ArrowDown"], does: "Move the image down", act: ["pan", 0, 1] },
  { keys: ["r"], does: "Reset window, zoom and pan", act: ["reset"], button: "Reset" },
  { keys: ["m"], does: "Magnifier", act: ["magnify"], button: "Magnifier", pressed: "magnifier" },
  { keys: ["c"], does: "Cine, on and off", act: ["playCine"], button: "Cine", pressed: "cine" },
  { keys: [","], does: "Cine slower", act: ["cineRate", -1] },
  { keys: ["."], does: "Cine faster", act: ["cineRate", 1] },
  { keys: ["s"], does: "Link the panes, or not", act: ["link"], button: "Linked", pressed: "linked", several: true },
  { keys: ["o"], does: "The other pane", act: ["other"], several: true },
  { keys: ["f"], does: "One pane full, and back", act: ["full"], button: "One pane", pressed: "full", several: true },
  { keys: ["x"], does: "Exact pixels, or interpolated", act: ["exact"], button: "Exact pixels", pressed: "exact" },
  { keys: ["u"], does: "Warning map (where a network’s images are unsure), on and off", act: ["showFlags"], button: "Warning map", pressed: "flags", flags: true },
  { keys: ["a"], does: "Mark an artifact with an arrow", act: ["startMark"], button: "Arrow", pressed: "marking", marks: true },
];

/* While an arrow is being placed these keys come first. */
export const MARK_KEYS = [
  { keys: ["ArrowLeft"], does: "Cross one pixel left", act: ["move", -1, 0] },
  { keys: ["ArrowRight"], does: "Cross one pixel right", act: ["move", 1, 0] },
  { keys: ["ArrowUp"], does: "Cross one pixel up", act: ["move", 0, -1] },
  { keys: ["ArrowDown"], does: "Cross one pixel down", act: ["move", 0, 1] },
  { keys: ["Shift+ArrowLeft"], does: "Cross ten pixels left", act: ["move", -10, 0] },
  { keys: ["Shift+ArrowRight"], does: "Cross ten pixels right", act: ["move", 10, 0] },
  { keys: ["Shift+ArrowUp"], does: "Cross ten pixels up", act: ["move", 0, -10] },
  { keys: ["Shift+ArrowDown"], does: "Cross ten pixels down", act: ["move", 0, 10] },
  { keys: ["Enter"], does: "Set the point, then the tail", act: ["enter"] },
  { keys: ["Escape"], does: "No arrow after all", act: ["cancel"] },
];

/* `mark`: how it is written in the help. */
export const MOUSE = [
  { button: 0, mark: "Left drag", does: "Window: across for width, down for darker", act: "window" },
  { button: 1, mark: "Middle drag", does: "Pan", act: "pan" },
  { button: 2, mark: "Right drag", does: "Zoom: up to enlarge", act: "zoom" },
  { mark: "Wheel", does: "Slice" },
  { mark: "Double click", does: "One pane full, and back", reading: true, several: true },
  { mark: "Two fingers", does: "Zoom and pan" },
  { mark: "One finger", does: "Slice, or window: the toolbar says which", reading: true },
  { mark: "Arrow, then drag", does: "From the artifact outwards; a click alone sets a short arrow", reading: true, marks: true },
];

/*
 * Hanging: how the panes of a mode lie. `sides` keeps them side by side, because the protocol says
 * which image is on which side; otherwise the arrangement that shows the images largest is taken.
 */
export const HANGINGS = [
  { mode: "relative", name: "Control and candidate", sides: true, does: "Side by side, on the sides that the protocol says; window, zoom, pan and slice together" },
  { mode: "choice", name: "Two images", sides: true, does: "Side by side; window, zoom, pan and slice together" },
  { mode: "absolute", name: "One image", sides: false, does: "The whole space" },
  { mode: "ranking", name: "Several images", sides: false, does: "In the rows and columns that show them largest, in the order of their letters" },
];
