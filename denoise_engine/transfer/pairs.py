"""Real pairs of scans, low and high quality of the same person, from BIDS folders.

The models that are shipped saw no such pair. A site that has them trains with
``python -m denoise_engine train sr-unet --pairs FOLDER``, where FOLDER is laid out as BIDS:

    sub-01/anat/sub-01_acq-low_T1w.nii.gz      thick slices, or low field
    sub-01/anat/sub-01_acq-high_T1w.nii.gz     thin slices, registered to the former
    sub-01/ses-1/anat/…                        sessions are looked into as well

The two must lie on grids that share their borders: the high one has ``factor`` slices for each
slice of the low one, the same rows and columns. Registration is not done here; a pair that does not
fit is refused by name and reason.

References
----------
Gorgolewski KJ, et al. The brain imaging data structure. Sci Data 2016;3:160044.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from denoise_engine.errors import TrainingDataError
from denoise_engine.transfer.grids import interpolate
from denoise_engine.transfer.heads import read_axial, typical_intensity

Floats = NDArray[np.float32]

_BORDER_TOLERANCE = 0.25  # of a thin slice or a pixel


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
    """

    name: str
    low: Floats
    cubic: Floats
    high: Floats
    factor: int


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

    Raises
    ------
    TrainingDataError
        There is no pair, one of a pair is missing, or the two do not fit.
    """
    if not folder.is_dir():
        raise TrainingDataError(f"“{folder}” is no folder.")
    found = sorted(
        path
        for path in (*folder.glob("sub-*/anat/*"), *folder.glob("sub-*/ses-*/anat/*"))
        if f"_acq-{low}_" in path.name
        and path.name.endswith((f"_{suffix}.nii.gz", f"_{suffix}.nii"))
    )
    if not found:
        raise TrainingDataError(
            f"“{folder}” holds no pairs: sub-01/anat/sub-01_acq-{low}_{suffix}.nii.gz and the same "
            f"with acq-{high} are looked for."
        )
    return [_read_pair(path, low, high) for path in found]


def _read_pair(path: Path, low: str, high: str) -> RegisteredPair:
    partner = path.with_name(path.name.replace(f"_acq-{low}_", f"_acq-{high}_"))
    if not partner.exists():
        raise TrainingDataError(f"“{path.name}” has no partner: “{partner.name}” is missing.")
    try:
        (thick, thick_affine, _), (thin, thin_affine, _) = read_axial(path), read_axial(partner)
    except (OSError, ValueError) as error:
        raise TrainingDataError(f"“{path.name}” or its partner cannot be read: {error}") from error
    for name, volume in ((path.name, thick), (partner.name, thin)):
        if not np.isfinite(volume).all():
            raise TrainingDataError(f"“{name}” holds values that are not a number.")
    factor = len(thin) // max(len(thick), 1)
    if thin.shape != (factor * len(thick), *thick.shape[1:]) or factor not in (2, 4, 8):
        raise TrainingDataError(
            f"“{path.name}” measures {thick.shape} and “{partner.name}” {thin.shape} (slices, "
            "rows, columns, axial): rows and columns must agree, and the slices be 2, 4 or 8 times "
            "as many. Bring the second to the grid of the first, made finer."
        )
    _check_borders(path.name, thick_affine, thin_affine, thick.shape, factor)
    thick = thick / np.float32(typical_intensity(thick))
    thin = thin / np.float32(typical_intensity(thin))
    name = path.name.split(".")[0].replace(f"_acq-{low}", "")
    return RegisteredPair(name, thick, interpolate(thick, factor), thin, factor)


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
            "mm apart. Register the second to the first and write it on the same grid, made finer."
        )
