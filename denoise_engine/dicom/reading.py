"""A DICOM series as a volume, with all that is needed to write a derived one like it."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from denoise_engine.dicom.acquisition import acquired_matrix, vendor_denoised
from denoise_engine.dicom.files import Stored, decode, image_files, read_image
from denoise_engine.dicom.frames import Frame, frames_of, is_enhanced
from denoise_engine.dicom.ordering import ONE_SERIES, normal_of, order_frames
from denoise_engine.errors import DicomError


@dataclass(frozen=True)
class DicomSeries:
    """A series of MR images in anatomical order.

    Attributes
    ----------
    volume : ndarray of float32
        (slices, rows, columns), rescale slope and intercept applied.
    sources : list of Dataset
        The headers, without pixels: of a classic series one for each slice, in the order of the
        volume; of an enhanced one its files.
    files : tuple of Path
        Where each of `sources` came from.
    places : tuple of (int, int)
        For each slice the number of its data set in `sources` and of its frame there, from 0.
    spacing : tuple of float
        Slice, row and column spacing, mm.
    acquired : (int, int) or None
        Acquired (rows, columns), if the header tells; see `acquired_matrix`.
    vendor_denoised : str or None
        A sentence, where the header tells that the scanner (or this engine) has denoised already.
    """

    volume: NDArray[np.float32]
    sources: list[Dataset]
    files: tuple[Path, ...]
    places: tuple[tuple[int, int], ...]
    spacing: tuple[float, float, float]
    acquired: tuple[int, int] | None
    vendor_denoised: str | None

    @property
    def is_enhanced(self) -> bool:
        """Whether the series consists of enhanced multi-frame images."""
        return is_enhanced(self.sources[0])

    def affine(self) -> NDArray[np.float64]:
        """Return where the volume lies, for formats that tell it by a matrix, as NIfTI does.

        Returns
        -------
        ndarray of float64
            (4, 4), from (row, column, slice) to mm: right, anterior, superior. DICOM has left and
            posterior instead (PS3.3 C.7.6.2.1.1).

        Raises
        ------
        DicomError
            A header does not place its image.
        """
        first, last = (self._frame(slice_) for slice_ in (0, len(self.places) - 1))
        across, down = first.numbers("ImageOrientationPatient", 6).reshape(2, 3)
        origin, end = (frame.numbers("ImagePositionPatient", 3) for frame in (first, last))
        step, row, column = self.spacing
        way = end - origin if len(self.places) > 1 else normal_of(first)
        affine = np.eye(4)
        affine[:3, 0], affine[:3, 1], affine[:3, 3] = row * down, column * across, origin
        affine[:3, 2] = step * way / np.linalg.norm(way)
        return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine

    def _frame(self, number: int) -> Frame:
        source, frame = self.places[number]
        return Frame(self.sources[source], source, frame, self.files[source].name)


def read_series(
    source: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
) -> DicomSeries:
    """Read one series of classic or enhanced MR images.

    Parameters
    ----------
    source : path or list of paths
        A folder (with its subfolders), one file, or the files of a series. Names and extensions
        do not matter; hidden files and a DICOMDIR are left out.

    Returns
    -------
    DicomSeries

    Raises
    ------
    DicomError
        A file that is not DICOM, no MR image, in colour, with floating-point pixel data, damaged
        or not decodable; several series in one; a slice that is missing or there twice; no image
        at all. The message names the file.
    """
    paths = image_files(source)
    datasets: list[Dataset] = []
    pixels: list[list[Stored]] = []
    seen: dict[str, Path] = {}
    for path in paths:
        dataset = read_image(path)
        _check_with_first(dataset, path, datasets, paths[0])
        twin = seen.setdefault(str(dataset.SOPInstanceUID), path)
        if twin is not path:
            raise DicomError(f"“{path.name}” is the same image as “{twin.name}”.")
        pixels.append(decode(dataset, path))
        del dataset.PixelData
        datasets.append(dataset)
    try:
        return _assembled(datasets, paths, pixels)
    except RecursionError:
        raise DicomError(f"“{paths[0].name}” is nested too deeply to be read.") from None


def _check_with_first(dataset: Dataset, path: Path, datasets: list[Dataset], first: Path) -> None:
    """Refuse a second series before its pixels are decoded."""
    if not datasets:
        return
    if str(dataset.SeriesInstanceUID) != str(datasets[0].SeriesInstanceUID):
        raise DicomError(f"“{first.name}” and “{path.name}” belong to two series. {ONE_SERIES}")
    if is_enhanced(dataset) != is_enhanced(datasets[0]):
        raise DicomError(
            f"“{first.name}” and “{path.name}” mix classic and enhanced images. {ONE_SERIES}"
        )


def _assembled(
    datasets: list[Dataset], paths: list[Path], pixels: list[list[Stored]]
) -> DicomSeries:
    ordered, spacing = order_frames(frames_of(datasets, [path.name for path in paths]))
    first = ordered[0]
    volume = np.empty(
        (len(ordered), int(first.dataset.Rows), int(first.dataset.Columns)), dtype=np.float32
    )
    for slot, frame in zip(volume, ordered, strict=True):
        slope, intercept = frame.rescale()
        slot[:] = pixels[frame.source][frame.number].astype(np.float64) * slope + intercept
    # Sources in the order of their slices, so that a classic series is parallel to the volume.
    order = list(dict.fromkeys(frame.source for frame in ordered))
    rank = {source: index for index, source in enumerate(order)}
    return DicomSeries(
        volume=volume,
        sources=[datasets[source] for source in order],
        files=tuple(paths[source] for source in order),
        places=tuple((rank[frame.source], frame.number) for frame in ordered),
        spacing=spacing,
        acquired=acquired_matrix(first),
        vendor_denoised=vendor_denoised(first),  # all images of a series are made alike
    )
