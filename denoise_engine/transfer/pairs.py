"""Real pairs of scans, low and high quality of the same person, from BIDS folders.

The models that are shipped saw no such pair. A site that has them trains with
``python -m denoise_engine train sr-unet --pairs FOLDER``, where FOLDER is laid out as BIDS:

    sub-01/anat/sub-01_acq-low_T1w.nii.gz      thick slices, or low field (3 T)
    sub-01/anat/sub-01_acq-high_T1w.nii.gz     thin slices, or high field (7 T), registered to it
    sub-01/ses-1/anat/…                        sessions are looked into as well

The two must lie on grids that share their borders: the high one has ``factor`` slices for each
slice of the low one, the same rows and columns; a factor of 1, as the 7 T-like networks want it, is
the same grid. Registration is not done here; a pair that does not fit is refused by name and
reason.

References
----------
Gorgolewski KJ, et al. The brain imaging data structure. Sci Data 2016;3:160044.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from denoise_engine.errors import TrainingDataError, UnusableVolumeError
from denoise_engine.transfer.grids import interpolate
from denoise_engine.transfer.heads import read_axial, typical_intensity

Floats = NDArray[np.float32]

_BORDER_TOLERANCE = 0.25  # of a thin slice or a pixel
_MOST_NEGATIVE = 0.1  # of the highest value: resampling overshoots, normalising goes far below
_FACTORS = (1, 2, 4, 8)  # what a network of this package can be built for


@dataclass(frozen=True)
class PairFile:
    """A file of a pair: its path in the BIDS folder, and its SHA-256."""

    path: str
    sha256: str


@dataclass(frozen=True)
class RegisteredPair:
    """A pair, intensities of both about 1.

    Attributes
    ----------
    name : str
        Subject, session and suffix, as in the file names.
    low : ndarray of float32
        (slices, rows, columns).
    cubic, high : ndarray of float32
        (factor · slices, rows, columns).
    factor : int
        Slices of ``high`` to each of ``low``; 1 where both lie on the same grid.
    pixel : float
        Spacing of rows and columns, mm (geometric mean).
    files : tuple of PairFile
        The low one, the high one.
    """

    name: str
    low: Floats
    cubic: Floats
    high: Floats
    factor: int
    pixel: float
    files: tuple[PairFile, PairFile]

    def record(self) -> dict[str, Any]:
        """Return everything but the voxels, as plain JSON values."""
        return {
            "name": self.name,
            "factor": self.factor,
            "pixel": round(self.pixel, 4),
            "files": [{"path": file.path, "sha256": file.sha256} for file in self.files],
        }


def read_pairs(
    folder: Path, *, low: str = "low", high: str = "high", suffix: str = "T1w"
) -> list[RegisteredPair]:
    """Read every pair of a BIDS folder.

    Parameters
    ----------
    folder : Path
        The root of the data set, with its ``sub-…`` folders.
    low, high : str
        Labels of ``acq-`` that tell the two apart.
    suffix : str
        BIDS suffix of both.

    Returns
    -------
    list of RegisteredPair
        By path.

    Raises
    ------
    TrainingDataError
        There is no pair, one of a pair is missing, or the two do not fit.
    """
    if not folder.is_dir():
        raise TrainingDataError(f"“{folder}” is no folder.")
    scans = [
        path
        for path in (*folder.glob("sub-*/anat/sub-*"), *folder.glob("sub-*/ses-*/anat/sub-*"))
        if path.name.endswith((f"_{suffix}.nii.gz", f"_{suffix}.nii"))
    ]
    found = sorted(path for path in scans if f"_acq-{low}_" in path.name)
    for path in sorted(path for path in scans if f"_acq-{high}_" in path.name):
        if _partner(path, high, low) not in found:
            raise _without(path, _partner(path, high, low))
    if not found:
        raise TrainingDataError(
            f"“{folder}” holds no pairs: sub-01/anat/sub-01_acq-{low}_{suffix}.nii.gz and the same "
            f"with acq-{high} are looked for."
        )
    return [_read_pair(folder, path, low, high) for path in found]


def _read_pair(folder: Path, path: Path, low: str, high: str) -> RegisteredPair:
    partner = _partner(path, low, high)
    if not partner.exists():
        raise _without(path, partner)
    (thick, thick_affine, _), (thin, thin_affine, spacing) = map(_read, (path, partner))
    for name, volume in ((path.name, thick), (partner.name, thin)):
        if not np.isfinite(volume).all():
            raise TrainingDataError(f"“{name}” holds values that are not a number.")
    factor = len(thin) // max(len(thick), 1)
    if thin.shape != (factor * len(thick), *thick.shape[1:]) or factor not in _FACTORS:
        raise TrainingDataError(
            f"“{path.name}” measures {thick.shape} and “{partner.name}” {thin.shape} (slices, "
            "rows, columns, axial): rows and columns must agree, and the slices be as many, or 2, "
            "4 or 8 times as many. Bring the second to the grid of the first, or that made finer."
        )
    _check_borders(path.name, thick_affine, thin_affine, thick.shape, factor)
    thick, thin = _about_one(path.name, thick), _about_one(partner.name, thin)
    name = path.name.split(".")[0].replace(f"_acq-{low}", "")
    cubic = interpolate(thick, factor)
    pixel = float(np.sqrt(spacing[1] * spacing[2]))
    files = (_file(folder, path), _file(folder, partner))
    return RegisteredPair(name, thick, cubic, thin, factor, pixel, files)


def _partner(path: Path, label: str, other: str) -> Path:
    return path.with_name(path.name.replace(f"_acq-{label}_", f"_acq-{other}_"))


def _without(path: Path, partner: Path) -> TrainingDataError:
    return TrainingDataError(f"“{path.name}” has no partner: “{partner.name}” is missing.")


def _read(path: Path) -> tuple[Floats, NDArray[np.float64], tuple[float, float, float]]:
    import nibabel

    nifti: Any = nibabel
    try:
        found = read_axial(path)  # which takes what is below 0 for air
        stored = np.asarray(nifti.load(path).dataobj, dtype=np.float32)
    except UnusableVolumeError as error:
        raise TrainingDataError(str(error)) from error
    except Exception as error:  # whatever a damaged file makes its reader raise
        raise TrainingDataError(f"“{path.name}” cannot be read: {error}") from error
    if float(np.nanmin(stored)) < -_MOST_NEGATIVE * float(np.nanmax(stored)):
        raise TrainingDataError(
            f"“{path.name}” reaches down to {np.nanmin(stored):g}: this is no magnitude image, as "
            "phase images and those with a mean of 0 are not. Give it as the scanner made it."
        )
    return found


def _about_one(name: str, volume: Floats) -> Floats:
    try:
        return volume / np.float32(typical_intensity(volume))
    except UnusableVolumeError as error:
        raise TrainingDataError(f"“{name}”: {error}") from error


def _file(folder: Path, path: Path) -> PairFile:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return PairFile(path.relative_to(folder).as_posix(), digest)


def _check_borders(
    name: str,
    thick: NDArray[np.float64],
    thin: NDArray[np.float64],
    shape: tuple[int, ...],
    factor: int,
) -> None:
    """Both grids must cover the same box: corners of the volumes, compared in voxels."""
    counts = np.array(shape, dtype=float)
    corners = np.array(np.meshgrid(*[[0, 1]] * 3, indexing="ij")).reshape(3, -1)
    of_thick = thick[:3, :3] @ (corners * counts[:, None] - 0.5) + thick[:3, 3:]
    fine = counts * [factor, 1, 1]
    of_thin = thin[:3, :3] @ (corners * fine[:, None] - 0.5) + thin[:3, 3:]
    smallest = float(np.linalg.norm(thin[:3, :3], axis=0).min())
    distance = float(np.abs(of_thick - of_thin).max())
    if distance > _BORDER_TOLERANCE * smallest:
        raise TrainingDataError(
            f"“{name}” and its partner do not cover the same box: their corners are {distance:.2f} "
            "mm apart. Register the second to the first and write it on the same grid, or "
            "that made finer."
        )
