"""Derived images of the platform: what the engine writes, as slices that the storage takes.

The engine decides what a derived DICOM image is; see `denoise_engine.dicom`. Here the sources are
the stored, de-identified images, always classic ones: ingest takes enhanced files apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from denoise_engine.dicom import derived_datasets
from readerstudy.imaging.geometry import SlicePlane
from readerstudy.imaging.parsing.encoding import encode
from readerstudy.imaging.storing import StoredSlice


def derive_slices(
    sources: Sequence[Dataset], volume: np.ndarray, provenance: Mapping[str, Any]
) -> list[StoredSlice]:
    """The slices of a derived series, in the order of its source.

    Parameters
    ----------
    sources : sequence of Dataset
        De-identified source slices in anatomical order.
    volume : ndarray
        [slices, rows, columns], rescaled values as the engine returned them.
    provenance : mapping
        What goes into the derivation description.

    Raises
    ------
    DicomError
        The volume does not fit the sources or holds values that are not finite.
    """
    return [stored_slice_of(target) for target in derived_datasets(sources, volume, provenance)]


def stored_slice_of(target: Dataset) -> StoredSlice:
    """A data set that the engine made, as the storage takes it."""
    dtype = "<i2" if target.PixelRepresentation else "<u2"
    rows, columns = int(target.Rows), int(target.Columns)
    pixels = np.frombuffer(target.PixelData, dtype, rows * columns).reshape(rows, columns)
    content, offset = encode(target, pixels)
    x, y, z = (float(v) for v in target.ImagePositionPatient)
    a, b, c, d, e, f = (float(v) for v in target.ImageOrientationPatient)
    row_spacing, column_spacing = (float(v) for v in target.PixelSpacing)
    thickness = target.get("SpacingBetweenSlices") or target.get("SliceThickness")
    return StoredSlice(
        content=content,
        plane=SlicePlane(
            position=(x, y, z),
            orientation=(a, b, c, d, e, f),
            row_spacing=row_spacing,
            column_spacing=column_spacing,
            rows=rows,
            columns=columns,
            thickness=float(thickness) if thickness else None,
        ),
        pixel_offset=offset,
        pixel_dtype=dtype,
        # What the header says to the last digit, so that file and volume agree.
        slope=float(target.RescaleSlope),
        intercept=float(target.RescaleIntercept),
    )
