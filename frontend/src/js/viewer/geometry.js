/*
 * Where a pixel is in the patient, and the other way round.
 *
 * Patient space is DICOM's LPS in millimetres. `row_direction` is the direction in which the column
 * index grows (the first three numbers of Image Orientation), `column_direction` that in which the
 * row index grows, `slice_direction` that in which slices follow each other (it may run against the
 * plane's normal: slices are in anatomical order). `origin` is the centre of pixel (0, 0) of slice 0.
 */

const add = (a, b, factor = 1) => a.map((value, i) => value + factor * b[i]);
const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);

export class Geometry {
  constructor(data) {
    this.rows = data.rows;
    this.columns = data.columns;
    this.slices = data.slices;
    this.rowSpacing = data.row_spacing; // between rows, down the image
    this.columnSpacing = data.column_spacing; // between columns, along a row
    this.sliceSpacing = data.slice_spacing;
    this.rowDirection = data.row_direction;
    this.columnDirection = data.column_direction;
    this.sliceDirection = data.slice_direction;
    this.origin = data.origin;
  }

  get width() {
    return this.columns * this.columnSpacing;
  }

  get height() {
    return this.rows * this.rowSpacing;
  }

  sliceOrigin(slice) {
    return add(this.origin, this.sliceDirection, slice * this.sliceSpacing);
  }

  /** Patient position (mm) of a continuous pixel position on a slice. */
  toPatient({ column, row, slice }) {
    let point = this.sliceOrigin(slice);
    point = add(point, this.rowDirection, column * this.columnSpacing);
    return add(point, this.columnDirection, row * this.rowSpacing);
  }

  /** Continuous pixel position of a patient position (mm); the slice is rounded to the nearest. */
  toPixel(point) {
    const from = add(point, this.origin, -1);
    return {
      column: dot(from, this.rowDirection) / this.columnSpacing,
      row: dot(from, this.columnDirection) / this.rowSpacing,
      slice: Math.round(dot(from, this.sliceDirection) / this.sliceSpacing),
    };
  }

  /** The letters at the left, right, top and bottom edge of the image, for example A, P, H, F. */
  orientationLetters() {
    const letters = (direction) => {
      const names = [
        ["R", "L"],
        ["A", "P"],
        ["F", "H"],
      ];
      return direction
        .map((value, axis) => ({ size: Math.abs(value), letter: names[axis][value > 0 ? 1 : 0] }))
        .filter(({ size }) => size > 0.35) // an oblique slice has two letters
        .sort((a, b) => b.size - a.size)
        .slice(0, 2)
        .map(({ letter }) => letter)
        .join("");
    };
    const opposite = (direction) => direction.map((value) => -value);
    return {
      left: letters(opposite(this.rowDirection)),
      right: letters(this.rowDirection),
      top: letters(opposite(this.columnDirection)),
      bottom: letters(this.columnDirection),
    };
  }
}
