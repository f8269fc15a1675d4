/* The regions drawn over a pane, as SVG: sharp at every zoom, and the same on every arm. */

const NS = "http://www.w3.org/2000/svg";

function make(parent, tag, attributes = {}) {
  const node = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  parent.append(node);
  return node;
}

export class Ellipses {
  constructor(host, { labels }) {
    this.svg = make(host, "svg", { class: "ellipses", "aria-hidden": "true" });
    this.labels = labels;
    this.marks = new Map();
  }

  mark(tissue) {
    if (!this.marks.has(tissue.code)) {
      const group = make(this.svg, "g");
      this.marks.set(tissue.code, {
        group,
        under: make(group, "ellipse", { class: "ellipse-under" }),
        ellipse: make(group, "ellipse", { class: "ellipse", stroke: tissue.colour }),
        cross: make(group, "path", { class: "ellipse-cross", stroke: tissue.colour }),
        label: make(group, "text", { class: "ellipse-label", fill: tissue.colour }),
      });
    }
    return this.marks.get(tissue.code);
  }

  update(viewer, pane, regions, selected) {
    const { geometry, state } = viewer;
    const scale = viewer.scale(pane);
    for (const tissue of regions.tissues) {
      const { group, under, ellipse, cross, label } = this.mark(tissue);
      const region = regions.get(tissue.code);
      const shown = region && region.slice_index === state.slice;
      group.toggleAttribute("hidden", !shown);
      group.setAttribute("display", shown ? "inline" : "none");
      if (!shown) continue;
      const [x, y] = viewer.toScreen(pane, geometry.toPixel(region.centre));
      const [a, b] = region.semi_axes_mm.map((length) => length * scale);
      for (const node of [under, ellipse]) {
        node.setAttribute("cx", x);
        node.setAttribute("cy", y);
        node.setAttribute("rx", a);
        node.setAttribute("ry", b);
        node.setAttribute("transform", `rotate(${region.angle_deg} ${x} ${y})`);
      }
      const chosen = tissue.code === selected;
      group.classList.toggle("is-selected", chosen);
      group.classList.toggle("is-unsaved", region.state !== "saved");
      cross.setAttribute("d", chosen ? `M${x - 3} ${y}h6M${x} ${y - 3}v6` : "");
      label.textContent = this.labels ? tissue.name : "";
      label.setAttribute("x", x + Math.max(a, b) + 5);
      label.setAttribute("y", y + 4);
    }
  }
}

/** Whether a pixel position lies inside a region, with a margin (mm) for fingers and mice. */
export function contains(region, geometry, { column, row }, margin) {
  const centre = geometry.toPixel(region.centre);
  const x = (column - centre.column) * geometry.columnSpacing;
  const y = (row - centre.row) * geometry.rowSpacing;
  const angle = (region.angle_deg * Math.PI) / 180;
  const along = x * Math.cos(angle) + y * Math.sin(angle);
  const across = -x * Math.sin(angle) + y * Math.cos(angle);
  const [a, b] = region.semi_axes_mm;
  return (along / (a + margin)) ** 2 + (across / (b + margin)) ** 2 <= 1;
}
