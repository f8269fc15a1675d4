/* Stands in for packages that Cornerstone names for files this product never reads (VTK's XML meshes). */

export function create() {
  throw new Error("Reading VTK XML files is not part of this product.");
}
export const decompressSync = create;
export default { create };
