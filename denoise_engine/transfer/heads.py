"""The heads of the transfer models: which train, which judge while training, which only test.

Nobody here was scanned at two qualities, so the lower one is simulated (:mod:`forward`). Few heads,
so their parts are fixed by name: a head is in one part only.

- **train**: what the networks learn from;
- **validation**: learning curves, and the calibration of the warning maps;
- **test**: opened for the figures of the card alone. The head of 0.67 mm is one person: N = 1.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from denoise_engine.errors import TrainingDataError, UnusableVolumeError
from denoise_engine.metrics import otsu_threshold
from denoise_engine.transfer.forward import Tissues
from denoise_engine.transfer.label_maps import synthesise

Floats = NDArray[np.float32]
Part = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class HeadSource:
    """A head on disk.

    ``grey`` and ``white`` are mean intensities of the tissues, in the unit of the file (k-means of
    the cerebrum); a label map has none, its T1 contrast is drawn. ``weight``: how often it is drawn
    for training, against the others.
    """

    path: str
    part: Part
    licence: str
    what: str
    grey: float = 0.0
    white: float = 0.0
    weight: float = 1.0

    @property
    def is_label_map(self) -> bool:
        return "labelmap" in self.path


SOURCES: tuple[HeadSource, ...] = (
    HeadSource(
        "anatomy/colin27-t1-1mm.nii.gz",
        "train",
        "MNI notice",
        "T1, 1 mm, mean of 27 scans at 1.5 T",
        83.3,
        109.5,
    ),
    HeadSource(
        "anatomy/brain-t1-1mm-conformed.nii.gz",
        "train",
        "MIT",
        "T1, 1 mm, face cropped",
        94.0,
        125.0,
    ),
    HeadSource(
        "dicom/brain-sag-t1memprage-siemens3t",
        "train",
        "Apache-2.0",
        "T1 at 3 T, 1.15 × 1.15 × 1 mm, the 60 mm around the midline",
        458.0,
        601.0,
    ),
    HeadSource(
        "anatomy/brain-labelmap-01.nii.gz",
        "train",
        "Apache-2.0",
        "label map, 1 mm, T1 synthesised",
        weight=0.3,
    ),
    HeadSource(
        "anatomy/brain-labelmap-08.nii.gz",
        "train",
        "Apache-2.0",
        "label map, 1 mm, T1 synthesised",
        weight=0.3,
    ),
    HeadSource(
        "anatomy/brain-t1-3t-0p88mm.nii.gz",
        "validation",
        "BSD-2-Clause",
        "T1 at 3 T, 0.88 mm",
        95.1,
        126.0,
    ),
    HeadSource(
        "anatomy/brain-t1-3t-0p67mm-forrest.nii.gz",
        "test",
        "PDDL-1.0",
        "T1 at 3 T, 0.67 mm, defaced",
        40.6,
        70.5,
    ),
    HeadSource(
        "anatomy/brain-labelmap-12.nii.gz",
        "test",
        "Apache-2.0",
        "label map, 1 mm, T1 synthesised; the tissues are known",
    ),
)


@dataclass(frozen=True)
class Head:
    """A head in memory, its slices axial.

    Attributes
    ----------
    source : HeadSource
    volume : ndarray of float32
        (slices foot to head, rows back to front, columns left to right).
    spacing : tuple of float
        In mm, in that order.
    affine : ndarray
        (4, 4), from (slice, row, column) to mm, right-anterior-superior.
    tissues : Tissues
        In the unit of the volume.
    labels : ndarray of int, optional
        Of a label map, in its own numbers.
    """

    source: HeadSource
    volume: Floats
    spacing: tuple[float, float, float]
    affine: NDArray[np.float64]
    tissues: Tissues
    labels: NDArray[np.int16] | None = None

    @property
    def name(self) -> str:
        return Path(self.source.path).name.removesuffix(".nii.gz")


def load_head(folder: Path, source: HeadSource, *, seed: int = 0) -> Head:
    """Read a head and turn it to axial slices, foot to head.

    Parameters
    ----------
    folder : Path
        The data folder.
    source : HeadSource
    seed : int
        Of the contrast and texture of a label map.

    Raises
    ------
    TrainingDataError
        The file is missing.
    """
    path = folder / source.path
    if not path.exists():
        raise TrainingDataError(
            f"The data folder lacks “{source.path}”. Give it with --data; the model card lists "
            "what it must hold."
        )
    stored, affine, spacing = read_sagittal_series(path) if path.is_dir() else read_axial(path)
    if not source.is_label_map:
        return Head(source, stored, spacing, affine, Tissues(source.grey, source.white))
    labels = np.rint(stored).astype(np.int16)
    volume, tissues = synthesise(labels, np.random.default_rng(texture_seed(source, seed)))
    return Head(source, volume, spacing, affine, tissues, labels)


def texture_seed(source: HeadSource, seed: int = 0) -> tuple[int, ...]:
    """Return what contrast, texture and sensitivity of a label map are drawn by.

    All maps measure 256³, so the same draws would lie voxel on voxel: a head that judges gets draws
    of its own. Those that train share theirs: the shipped weights were trained with them.
    """
    if source.part == "train":
        return (seed, 77)
    return (seed, 77, int.from_bytes(hashlib.sha256(source.path.encode()).digest()[:8]))


def load_heads(folder: Path, part: Part, sources: tuple[HeadSource, ...] = SOURCES) -> list[Head]:
    """Read all heads of a part."""
    return [load_head(folder, source) for source in sources if source.part == part]


def read_axial(path: Path) -> tuple[Floats, NDArray[np.float64], tuple[float, float, float]]:
    """Read a NIfTI volume as (slices, rows, columns) = (superior, anterior, right), with affine.

    Raises
    ------
    UnusableVolumeError
        It is not one three-dimensional volume.
    """
    import nibabel

    nifti: Any = nibabel
    image = nifti.as_closest_canonical(nifti.load(path))
    if len(image.shape) > 3 and image.shape[3] > 1:
        raise UnusableVolumeError(f"“{path.name}” holds more than one volume.")
    volume = np.asarray(image.dataobj, dtype=np.float32).reshape(image.shape[:3])
    turned = np.ascontiguousarray(np.maximum(volume.transpose(2, 1, 0), 0))
    affine = np.asarray(image.affine, dtype=np.float64)[:, [2, 1, 0, 3]]
    x, y, z = (float(v) for v in image.header.get_zooms()[:3])
    return turned, affine, (z, y, x)


def read_sagittal_series(
    path: Path,
) -> tuple[Floats, NDArray[np.float64], tuple[float, float, float]]:
    """Read a DICOM folder of sagittal slices, rows head to foot, in the same order of axes.

    The affine tells spacing alone: where such a slab lies in the head nothing here asks.
    """
    from denoise_engine.files import read_image

    image = read_image(path)
    assert image.series is not None
    slices = image.volume.astype(np.float32)
    volume = np.ascontiguousarray(np.moveaxis(slices, 0, -1)[::-1])
    spacing = image.series.spacing
    affine = np.diag([spacing[1], spacing[2], spacing[0], 1.0])
    return volume, affine, (spacing[1], spacing[2], spacing[0])


def typical_intensity(volume: Floats) -> float:
    """Return the mean of what is no air: what intensities are divided by before a network.

    The threshold is half of Otsu's, so that grey matter and CSF count.

    Raises
    ------
    UnusableVolumeError
        If nothing is above it.
    """
    sparse = volume[:, ::2, ::2]
    threshold = 0.5 * otsu_threshold(sparse)
    signal = sparse[sparse > threshold]
    if signal.size == 0 or not float(signal.mean()) > 0:
        raise UnusableVolumeError("No head was found: the image holds no signal.")
    return float(signal.mean())


def source_hash(folder: Path, source: HeadSource) -> str:
    """SHA-256 over the file, or over the sorted files of the series folder."""
    path = folder / source.path
    digest = hashlib.sha256()
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        digest.update(file.read_bytes())
    return digest.hexdigest()
