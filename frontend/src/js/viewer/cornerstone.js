/*
 * Cornerstone3D, fed by our own slices. Its DICOM loader is not part of the product: no DICOM
 * header can reach a reader, because no DICOM object does.
 */
import * as cornerstone from "@cornerstonejs/core";
import { loadSlice } from "./pixels.js";

const SCHEME = "slice";
const CACHE_BYTES = 768 * 1024 * 1024;
const stacks = new Map(); // image id -> {url, geometry, index, window}

let started = null;

export function start() {
  started ??= (async () => {
    cornerstone.init({ rendering: { webGlContextCount: 2 } });
    cornerstone.cache.setMaxCacheSize(CACHE_BYTES);
    cornerstone.imageLoader.registerImageLoader(SCHEME, loadImage);
    cornerstone.metaData.addProvider(metadata, 1000);
  })();
  return started;
}

/** Make the slices of one pane known; returns their image ids. */
export function registerStack(urls, geometry, window) {
  return urls.map((url, index) => {
    const imageId = `${SCHEME}:${url}`;
    stacks.set(imageId, { url, geometry, index, window });
    return imageId;
  });
}

export function releaseStack(imageIds) {
  for (const imageId of imageIds) {
    stacks.delete(imageId);
    if (cornerstone.cache.getImageLoadObject(imageId)) {
      cornerstone.cache.removeImageLoadObject(imageId, { force: true });
    }
  }
}

function loadImage(imageId) {
  const { url, geometry, window } = stacks.get(imageId);
  const { rows, columns } = geometry;
  const promise = loadSlice(url, rows * columns).then((pixels) => ({
    imageId,
    rows,
    columns,
    width: columns,
    height: rows,
    // The display range is the window that the server gave for the case, the same for all panes:
    // a range taken from each pane's own pixels would make the panes start differently.
    minPixelValue: 0,
    maxPixelValue: 65535,
    slope: 1,
    intercept: 0,
    windowCenter: window.center,
    windowWidth: window.width,
    voiLUTFunction: cornerstone.Enums.VOILUTFunctionType.LINEAR_EXACT,
    getPixelData: () => pixels,
    voxelManager: cornerstone.utilities.VoxelManager.createImageVoxelManager({
      width: columns,
      height: rows,
      numberOfComponents: 1,
      scalarData: pixels,
    }),
    color: false,
    rgba: false,
    numberOfComponents: 1,
    columnPixelSpacing: geometry.columnSpacing,
    rowPixelSpacing: geometry.rowSpacing,
    sliceThickness: geometry.sliceSpacing,
    invert: false,
    photometricInterpretation: "MONOCHROME2",
    dataType: "Uint16Array",
    sizeInBytes: pixels.byteLength,
  }));
  return { promise };
}

function metadata(type, imageId) {
  const stack = stacks.get(imageId);
  if (!stack) return undefined;
  const { geometry, index } = stack;
  switch (type) {
    case "imagePlaneModule":
      return {
        frameOfReferenceUID: "case",
        rows: geometry.rows,
        columns: geometry.columns,
        imageOrientationPatient: [...geometry.rowDirection, ...geometry.columnDirection],
        rowCosines: geometry.rowDirection,
        columnCosines: geometry.columnDirection,
        imagePositionPatient: geometry.sliceOrigin(index),
        sliceThickness: geometry.sliceSpacing,
        pixelSpacing: [geometry.rowSpacing, geometry.columnSpacing],
        rowPixelSpacing: geometry.rowSpacing,
        columnPixelSpacing: geometry.columnSpacing,
      };
    case "imagePixelModule":
      return {
        samplesPerPixel: 1,
        photometricInterpretation: "MONOCHROME2",
        rows: geometry.rows,
        columns: geometry.columns,
        bitsAllocated: 16,
        bitsStored: 16,
        highBit: 15,
        pixelRepresentation: 0,
      };
    case "generalSeriesModule":
      return { modality: "MR" };
    case "voiLutModule":
      return { windowCenter: [stack.window.center], windowWidth: [stack.window.width] };
    default:
      return undefined;
  }
}

export { cornerstone };
