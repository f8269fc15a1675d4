/*
 * The regions of one volunteer: what is placed, what is on its way to the server, and what was
 * there before. Measurements come from the server alone; a moved region has none until it answers.
 *
 * Emits "change" whenever something that the page shows may have changed.
 */
import { getJson, postJson } from "../http.js";

const SETTLE_MS = 350; // several nudges in a row are one revision
const FIELDS = ["slice_index", "centre", "semi_axes_mm", "angle_deg"];
const shapeOf = (region) => Object.fromEntries(FIELDS.map((name) => [name, region[name]]));

export class Regions extends EventTarget {
  constructor(dataUrl, data) {
    super();
    this.dataUrl = dataUrl;
    this.saveUrl = data.save_url;
    this.locked = data.locked;
    this.tissues = data.tissues;
    this.byTissue = new Map(data.regions.map((region) => [region.tissue, this.stored(region)]));
  }

  stored(region, past = []) {
    return { ...region, state: "saved", error: "", past, saved: shapeOf(region) };
  }

  get(tissue) {
    return this.byTissue.get(tissue);
  }

  placed() {
    return [...this.byTissue.values()].filter(({ revision }) => revision > 0).length;
  }

  unsaved() {
    return [...this.byTissue.values()].some(({ state }) => state !== "saved");
  }

  error() {
    return [...this.byTissue.values()].find(({ error }) => error)?.error ?? "";
  }

  /** Place a tissue's region, or change it. Sent after a short rest, unless `now`. */
  place(tissue, shape, { now = false, undoing = false } = {}) {
    if (this.locked) return;
    const region = this.get(tissue) ?? { tissue, revision: 0, measurements: [], past: [], saved: null };
    // One step back is one saved state, not one pixel of a drag.
    if (!undoing && region.saved && region.state !== "moving" && region.state !== "saving") {
      region.past = [...region.past, region.saved];
    }
    Object.assign(region, shape, { state: "moving", measurements: [], error: "" });
    this.byTissue.set(tissue, region);
    clearTimeout(region.timer);
    region.timer = setTimeout(() => this.send(tissue), now ? 0 : SETTLE_MS);
    this.changed();
  }

  undo(tissue) {
    const region = this.get(tissue);
    const last = region?.past.pop();
    if (last) this.place(tissue, last, { now: true, undoing: true });
  }

  async send(tissue) {
    const region = this.get(tissue);
    if (region.sending) {
      region.again = true;
      return;
    }
    region.sending = true;
    region.state = "saving";
    this.changed();
    const sent = { tissue, ...shapeOf(region), revision: region.revision };
    try {
      const answer = await postJson(this.saveUrl, sent);
      region.revision = answer.revision;
      region.saved = shapeOf(answer);
      if (region.state === "saving" && !region.again) {
        this.byTissue.set(tissue, this.stored(answer, region.past));
      }
    } catch (error) {
      region.state = "failed";
      region.error = error.message;
      if (error.status === 409) await this.reread(tissue, error.message);
    } finally {
      region.sending = false;
    }
    if (region.again) {
      region.again = false;
      this.send(tissue);
    }
    this.changed();
  }

  /** Somebody else moved it: show theirs. */
  async reread(tissue, message) {
    const { regions } = await getJson(this.dataUrl);
    const theirs = regions.find((region) => region.tissue === tissue);
    if (!theirs) return;
    const fresh = this.stored(theirs);
    fresh.error = `${message} The newer position is shown.`;
    this.byTissue.set(tissue, fresh);
  }

  retry() {
    for (const [tissue, { state }] of this.byTissue) if (state === "failed") this.send(tissue);
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }
}
