/* Stands for a package that Cornerstone names for writing XML, which the comparison does not do. */
export const create = () => {
  throw new Error("XML is not written here.");
};
