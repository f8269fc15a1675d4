"""What is refused before anything is computed: each time a sentence that names the fault."""

from numbers import Integral

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from denoise_engine.errors import ReconstructionError
from denoise_engine.reconstruction.calibration import FEWEST_LINES, SamplingPattern, understand

SMALLEST = 32
# Bytes held at a time for each complex sample of a slice, and for each pair of coils of a pixel.
_COPIES, _PAIRS = 12, 3
FEWEST_VIRTUAL, MOST_VIRTUAL = 4, 16
MEMORY_LIMIT = 2 * 2**30


def checked_kspace(kspace: ArrayLike) -> Tensor:
    """Return k-space as (slices, coils, rows, columns) complex64.

    Raises
    ------
    ReconstructionError
        If it is not complex, has another number of dimensions, is too small, or not finite.
    """
    values = np.asarray(kspace)
    if values.ndim == 3:
        values = values[None]
    if values.ndim != 4:
        raise ReconstructionError(
            "k-space must be slices × coils × rows × columns, or coils × rows × columns; it has "
            f"{values.ndim} dimensions."
        )
    if not np.iscomplexobj(values):
        raise ReconstructionError(
            f"k-space must be complex numbers; these are {values.dtype}. Magnitude images cannot "
            "be reconstructed again."
        )
    if min(values.shape[2:]) < SMALLEST:
        raise ReconstructionError(
            f"The matrix is {values.shape[2]} × {values.shape[3]}; the smallest that can be "
            f"reconstructed is {SMALLEST} × {SMALLEST}."
        )
    if 0 in values.shape:
        raise ReconstructionError("k-space holds no slice or no coil.")
    with np.errstate(over="ignore"):  # what single precision cannot hold is refused just below
        single = np.ascontiguousarray(values, dtype=np.complex64)
    wrong = ~np.isfinite(single)
    if wrong.any():
        where, count = np.argwhere(wrong.any(axis=(2, 3)))[0], int(wrong.sum())
        raise ReconstructionError(
            f"k-space holds {count} sample{'s' * (count > 1)} that "
            f"{'are not finite numbers' if count > 1 else 'is no finite number'}, the first in "
            f"slice {where[0] + 1}, coil {where[1] + 1}."
        )
    if not single.any():
        raise ReconstructionError("k-space holds nothing but zeros.")
    return torch.from_numpy(single)


def checked_pattern(
    kspace: Tensor, mask: ArrayLike | None, *, has_calibration: bool
) -> SamplingPattern:
    """Return the sampling; read off the zeros of k-space if no mask is given.

    Raises
    ------
    ReconstructionError
        If the mask does not fit, has no centre, or too few calibration lines.
    """
    matrix = (int(kspace.shape[-2]), int(kspace.shape[-1]))
    taken = (kspace != 0).any(dim=0).any(dim=0)
    if mask is None:
        sampled = taken
    else:
        given = np.asarray(mask)
        if given.dtype != np.bool_ and not np.isin(given, (0, 1)).all():
            raise ReconstructionError("The sampling mask must hold only true and false.")
        sampled = torch.from_numpy(np.ascontiguousarray(given.astype(np.bool_)))
        if tuple(sampled.shape) not in ((matrix[0],), matrix):
            shape = " × ".join(str(n) for n in sampled.shape)
            raise ReconstructionError(
                f"The sampling mask is {shape}, k-space {matrix[0]} × {matrix[1]}: the mask must "
                "have one entry a row, or one a sample."
            )
        full = sampled[:, None].expand(matrix) if sampled.ndim == 1 else sampled
        outside = int((taken & ~full).sum())
        if outside:
            raise ReconstructionError(
                f"k-space holds {outside} positions with samples that the mask calls not sampled: "
                "mask and data do not belong together."
            )
    pattern = understand(sampled, matrix)
    if pattern.calibration is None and not has_calibration:
        raise ReconstructionError(
            f"The calibration centre is missing: {pattern.lines} neighbouring "
            f"{'line is' if pattern.lines == 1 else 'lines are'} sampled around the zero "
            f"frequency, and at least {FEWEST_LINES} are needed to find the coil "
            "sensitivities. Give a calibration scan, or sensitivities."
        )
    return pattern


def checked_calibration(calibration: ArrayLike, kspace: Tensor) -> Tensor:
    """Return a separate calibration scan as (slices, coils, rows, columns) complex64.

    Raises
    ------
    ReconstructionError
        If it does not fit to k-space.
    """
    values = np.asarray(calibration)
    if values.ndim == 3:
        values = values[None]
    wanted = f"{kspace.shape[0]} slice(s) and {kspace.shape[1]} coils"
    if values.ndim != 4 or values.shape[:2] != tuple(kspace.shape[:2]):
        raise ReconstructionError(
            f"The calibration scan must have {wanted}, as k-space; its shape is {values.shape}."
        )
    rows, columns = values.shape[2:]
    if min(rows, columns) < FEWEST_LINES:
        raise ReconstructionError(
            f"The calibration scan is {rows} × {columns}; at least {FEWEST_LINES} lines each way "
            "are needed."
        )
    if rows > kspace.shape[2] or columns > kspace.shape[3]:
        raise ReconstructionError("The calibration scan is larger than k-space itself.")
    if not np.isfinite(values).all() or not values.any():
        raise ReconstructionError(
            "The calibration scan holds nothing, or samples that are not finite numbers."
        )
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.complex64))


def checked_noise(noise: ArrayLike, coils: int) -> Tensor:
    """Return a noise scan as (coils, samples) complex64.

    Raises
    ------
    ReconstructionError
        If it does not fit to k-space.
    """
    values = np.asarray(noise)
    if values.ndim < 2 or values.shape[0] != coils or not np.iscomplexobj(values):
        raise ReconstructionError(
            f"The noise scan must be complex, with the {coils} channels of k-space first; it is "
            f"{values.dtype} of shape {values.shape}."
        )
    if not np.isfinite(values).all():
        raise ReconstructionError("The noise scan holds samples that are not finite numbers.")
    flat = values.reshape(coils, -1)
    return torch.from_numpy(np.ascontiguousarray(flat, dtype=np.complex64))


def checked_sensitivities(sensitivities: ArrayLike, kspace: Tensor) -> Tensor:
    """Return given sensitivities as (slices, coils, rows, columns) complex64.

    Raises
    ------
    ReconstructionError
        If they do not fit to k-space.
    """
    values = np.asarray(sensitivities)
    if values.ndim == 3:
        values = values[None]
    shape = tuple(kspace.shape)
    if values.ndim != 4 or values.shape[1:] != shape[1:] or values.shape[0] not in (1, shape[0]):
        raise ReconstructionError(
            f"Sensitivities must be of the shape of k-space, {shape}; theirs is {values.shape}."
        )
    if not np.isfinite(values).all() or not values.any():
        raise ReconstructionError("The sensitivities are all 0, or not finite numbers.")
    complex_values = np.ascontiguousarray(values, dtype=np.complex64)
    return torch.from_numpy(complex_values).expand(shape[0], -1, -1, -1)


def virtual_coils_that_fit(
    coils: int, matrix: tuple[int, int], *, wanted: int | None, memory_limit: int | None
) -> tuple[int, str | None]:
    """Return to how many virtual coils the data are compressed, and a warning if memory forces it.

    Parameters
    ----------
    coils : int
        Channels of the data.
    matrix : tuple of int
        Rows and columns.
    wanted : int, optional
        As asked for.
    memory_limit : int, optional
        Bytes that one slice may take; 2 GiB by default.

    Raises
    ------
    ReconstructionError
        If so few coils are asked for that there is nothing left, or not even a few fit.
    """
    if wanted is not None and not (isinstance(wanted, Integral) and 1 <= wanted <= coils):
        raise ReconstructionError(
            f"The number of virtual coils must be a whole number from 1 to {coils}, not {wanted}."
        )
    limit = MEMORY_LIMIT if memory_limit is None else memory_limit
    chosen = int(wanted) if wanted is not None else min(coils, MOST_VIRTUAL)
    if memory_of(coils, chosen, matrix) <= limit:
        return chosen, None
    fitting = [n for n in range(1, chosen) if memory_of(coils, n, matrix) <= limit]
    fewest = min(FEWEST_VIRTUAL, coils)
    if not fitting or fitting[-1] < fewest:
        needed = memory_of(coils, fewest, matrix) / 2**20
        raise ReconstructionError(
            f"{coils} coils of {matrix[0]} × {matrix[1]} need {needed:.0f} MiB even when "
            f"compressed to {fewest}, and {limit / 2**20:.0f} MiB are allowed. Allow more memory."
        )
    if wanted is not None:
        raise ReconstructionError(
            f"{chosen} virtual coils of {matrix[0]} × {matrix[1]} need more than the "
            f"{limit / 2**20:.0f} MiB that are allowed; {fitting[-1]} fit."
        )
    return fitting[-1], (
        f"The {coils} coils were compressed to {fitting[-1]}, because more do not fit into "
        f"{limit / 2**20:.0f} MiB."
    )


def memory_of(coils: int, virtual: int, matrix: tuple[int, int]) -> int:
    """Return about how many bytes one slice takes."""
    pixels = matrix[0] * matrix[1]
    return 8 * pixels * (2 * coils + _COPIES * virtual + _PAIRS * virtual**2)
