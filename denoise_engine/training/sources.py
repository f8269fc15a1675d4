"""The images that a dDLR is trained on: brain and knee, never the spine.

The question that the platform asks of dDLR is whether training on brain and knee carries over to
the lumbar spine. An image of the spine in the training set would void the answer, so every path is
checked before it is opened.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from denoise_engine.errors import TrainingDataError

_SPINE_WORDS = ("spine", "lumbar", "spider", "cervical", "thoracic")


@dataclass(frozen=True)
class Source:
    """One series, its licence, and how it is cut into slices.

    ``axes`` are the array axes along which slices are taken (several for isotropic volumes);
    ``every`` is the step between slices; ``held_out`` names the part that training never sees:
    "all", "none", or a range of positions along the slice axis such as "38:48". ``repeat`` draws a
    small series more often, so that one contrast does not crowd out the others.
    """

    path: str
    anatomy: str
    contrast: str
    licence: str
    axes: tuple[int, ...]
    every: int
    held_out: str = "none"
    repeat: int = 1


SOURCES: tuple[Source, ...] = (
    Source("dicom/brain-ax-t2tse-siemens3t", "brain", "T2", "Apache-2.0", (0,), 1, repeat=2),
    Source("dicom/brain-sag-t1memprage-siemens3t", "brain", "T1", "Apache-2.0", (0, 1, 2), 4),
    Source("dicom/brain-ax-pdfse-ge1p5t", "brain", "PD", "BSD-3-Clause", (0,), 1, repeat=3),
    Source("dicom/brain-sag-t1gre-uih3t", "brain", "T1", "BSD-2-Clause", (0,), 1),
    Source("dicom/knee-sag-t2map-ge3t-anon", "knee", "T2 map", "MIT", (0,), 1, "38:48", 4),
    Source("anatomy/brain-pd-3t.nii.gz", "brain", "PD", "BSD-2-Clause", (2,), 1, repeat=2),
    Source("anatomy/brain-t2-3t.nii.gz", "brain", "T2", "BSD-2-Clause", (2,), 1, repeat=2),
    Source("anatomy/brain-flair-2d.nii.gz", "brain", "FLAIR", "MIT", (2,), 1, repeat=3),
    Source("anatomy/brain-t1-3t-0p67mm-forrest.nii.gz", "brain", "T1", "PDDL-1.0", (0, 1, 2), 6),
    Source("anatomy/brain-t1-3t-0p88mm.nii.gz", "brain", "T1", "BSD-2-Clause", (0, 1, 2), 5),
    Source("anatomy/brain-t1-1mm-conformed.nii.gz", "brain", "T1", "MIT", (0, 1, 2), 6),
    # The mean of 27 scans of one person: the cleanest reference there is, so it judges.
    Source("anatomy/colin27-t1-1mm.nii.gz", "brain", "T1", "MNI notice", (0, 1, 2), 12, "all"),
)


def read_slices(folder: Path, source: Source, *, held_out: bool) -> Iterator[NDArray[np.float32]]:
    """Yield the slices of one source, (rows, columns) float32, background included.

    Parameters
    ----------
    folder : Path
        The data folder.
    source : Source
        What to read.
    held_out : bool
        Whether to yield the part kept out of training, or the part used for it.
    """
    forbid_spine(source.path)
    volume = _read_volume(folder / source.path)
    for axis in source.axes:
        count = volume.shape[axis]
        kept_out = _positions_held_out(source, count)
        for position in range(0, count, source.every):
            if (position in kept_out) != held_out:
                continue
            image = np.take(volume, position, axis=axis)
            # Slices at the ends of a three-dimensional scan hold little but air.
            if image.std() > 0.35 * volume.std():
                yield np.ascontiguousarray(image, dtype=np.float32)


def forbid_spine(path: str) -> None:
    """Refuse a path that names the spine.

    Raises
    ------
    TrainingDataError
    """
    for word in _SPINE_WORDS:
        if word in path.lower():
            raise TrainingDataError(
                f"“{path}” looks like an image of the spine. The denoiser is judged on the spine "
                "and must never be trained on it."
            )


def data_hash(folder: Path, source: Source) -> str:
    """SHA-256 over the file, or over the sorted files of the series folder."""
    digest = hashlib.sha256()
    for path in _files_of(folder / source.path):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _positions_held_out(source: Source, count: int) -> range:
    if source.held_out == "all":
        return range(count)
    if source.held_out == "none":
        return range(0)
    first, last = source.held_out.split(":")
    return range(int(first), int(last))


def _files_of(path: Path) -> list[Path]:
    if not path.exists():
        raise TrainingDataError(
            f"The training data lack “{path.name}”. Give the data folder with --data; the model "
            "card lists what it must hold."
        )
    return sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]


def _read_volume(path: Path) -> NDArray[np.float32]:
    files = _files_of(path)
    if path.is_dir():
        return _read_dicom(files)
    import nibabel

    volume = np.asarray(nibabel.load(path).dataobj, dtype=np.float32)  # type: ignore[attr-defined]
    return np.maximum(volume, 0)


def _read_dicom(files: list[Path]) -> NDArray[np.float32]:
    """Stack the images along the slice normal; several echoes follow each other."""
    import pydicom

    images = []
    for path in files:
        dataset = pydicom.dcmread(path, force=True)
        row_and_column = np.asarray(dataset.ImageOrientationPatient, dtype=float)
        normal = np.cross(row_and_column[:3], row_and_column[3:])
        place = float(normal @ np.asarray(dataset.ImagePositionPatient, dtype=float))
        echo = float(dataset.get("EchoTime") or 0)
        images.append((round(place, 2), echo, dataset.pixel_array.astype(np.float32)))
    images.sort(key=lambda item: item[:2])
    return np.maximum(np.stack([pixels for _, _, pixels in images]), 0)
