"""What of k-space was sampled: its calibration centre, and whether the rest is uniform."""

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from denoise_engine.errors import ReconstructionError
from denoise_engine.reconstruction.alias_groups import Lattice, find_lattice

FEWEST_LINES, MOST_LINES = 16, 32
ONE_BLOCK = "one block: partial Fourier or a lower resolution"
_HIGHEST_REDUCTION = 8


@dataclass(frozen=True)
class SamplingPattern:
    """A sampling mask, understood.

    Attributes
    ----------
    mask : Tensor
        Bool: (rows,) where every readout is complete, else (rows, columns).
    lattice : Lattice or None
        The uniform sampling, outside the fully sampled centre if there is one; None if random, or
        if the matrix is no multiple of the reduction.
    reduction : int or None
        Of how many samples one was taken, outside the centre; None if that varies.
    exact : bool
        Whether the lattice is all there is: no centre, no missing parts.
    calibration : tuple of slice or None
        Rows and columns of the fully sampled centre; None if it has too few lines.
    lines : int
        Lines in the centre that are sampled one beside the other.
    """

    mask: Tensor
    lattice: Lattice | None
    reduction: int | None
    exact: bool
    calibration: tuple[slice, slice] | None
    lines: int

    @property
    def acceleration(self) -> float:
        return float(self.mask.numel() / self.mask.sum())

    @property
    def kind(self) -> str:
        """The sampling in words."""
        if bool(self.mask.all()):
            return "full"
        if self.reduction is None:
            return ONE_BLOCK if _is_one_block(self.mask) else "random or irregular"
        centre = "" if self.exact or self.lines < 2 else " with a full centre"
        step = {2: "2nd", 3: "3rd"}.get(self.reduction, f"{self.reduction}th")
        return f"uniform, every {step} sample{centre}"

    @property
    def lattice_share(self) -> float:
        """Share of all samples left out by the lattice that the scan leaves out too."""
        if self.lattice is None:
            return 1.0
        left_out = 1 - 1 / self.lattice.reduction
        return float((~self.mask).double().mean() / left_out) if left_out else 1.0


def understand(mask: Tensor, matrix: tuple[int, int]) -> SamplingPattern:
    """Find the calibration centre and the lattice of a mask.

    Parameters
    ----------
    mask : Tensor
        Bool, (rows,) or (rows, columns), zero frequency at n // 2.
    matrix : tuple of int
        Rows and columns.

    Raises
    ------
    ReconstructionError
        If nothing is sampled, or nothing near the centre.
    """
    if mask.ndim == 2 and bool((mask == mask[:, :1]).all()):
        mask = mask[:, 0]
    if not bool(mask.any()):
        raise ReconstructionError("The sampling mask is empty: no sample was taken.")
    block = _centre_block(mask, matrix)
    near = _near_centre(mask)
    if not bool(mask[near].any()):
        raise ReconstructionError(
            "The sampling mask has no centre: nothing was sampled around the zero frequency, which "
            f"belongs at position {' , '.join(str(n // 2) for n in mask.shape)} (counted from 0). "
            "Is k-space shifted?"
        )
    lines = min(s.stop - s.start for s in block[: mask.ndim])
    exact = find_lattice(mask, matrix)
    lattice, reduction = exact, exact.reduction if exact else None
    if exact is None and (around := _uniform_around(mask, block)) is not None:
        reduction = math.prod(around[1])
        divides = all(n % step == 0 for n, step in zip(mask.shape, around[1], strict=True))
        lattice = find_lattice(around[0], matrix) if divides else None
    return SamplingPattern(
        mask=mask,
        lattice=lattice,
        reduction=reduction,
        exact=exact is not None,
        calibration=_limited(block) if lines >= FEWEST_LINES else None,
        lines=lines,
    )


def _is_one_block(mask: Tensor) -> bool:
    """Whether the samples lie side by side, in one box."""
    taken = torch.nonzero(mask)
    sides = taken.amax(dim=0) - taken.amin(dim=0) + 1
    return int(sides.prod()) == len(taken)


def _centre_block(mask: Tensor, matrix: tuple[int, int]) -> tuple[slice, slice]:
    """The largest fully sampled block around the zero frequency."""
    middle = [n // 2 for n in matrix]
    if mask.ndim == 1:
        below, above = _run(mask, middle[0])
        return slice(below, above), slice(0, matrix[1])
    half = 0
    while 2 * (half + 1) <= min(matrix) and bool(
        mask[
            middle[0] - half - 1 : middle[0] + half + 1, middle[1] - half - 1 : middle[1] + half + 1
        ].all()
    ):
        half += 1
    # A square first, then as far as each direction goes by itself.
    columns = slice(middle[1] - half, middle[1] + half)
    below, above = _run(mask[:, columns].all(dim=1), middle[0]) if half else (middle[0], middle[0])
    rows = slice(below, above)
    left, right = _run(mask[rows].all(dim=0), middle[1]) if half else (middle[1], middle[1])
    return rows, slice(left, right)


def _run(line: Tensor, middle: int) -> tuple[int, int]:
    """First and past-the-last of the unbroken run of samples around the middle."""
    if not bool(line[middle]):
        return middle, middle
    below, above = middle, middle + 1
    while below > 0 and bool(line[below - 1]):
        below -= 1
    while above < len(line) and bool(line[above]):
        above += 1
    return below, above


def _limited(block: tuple[slice, slice]) -> tuple[slice, slice]:
    """At most so many lines of the block, around its own middle."""

    def narrowed(s: slice) -> slice:
        spare = max(s.stop - s.start - MOST_LINES, 0)
        return slice(s.start + spare // 2, s.stop - (spare - spare // 2))

    return narrowed(block[0]), narrowed(block[1])


def _near_centre(mask: Tensor) -> tuple[slice, ...]:
    reach = [max(n // 16, _HIGHEST_REDUCTION // 2) for n in mask.shape]
    return tuple(slice(n // 2 - r, n // 2 + r + 1) for n, r in zip(mask.shape, reach, strict=True))


def _uniform_around(
    mask: Tensor, block: tuple[slice, slice]
) -> tuple[Tensor, tuple[int, ...]] | None:
    """The uniform mask that a mask follows outside its centre, if it does, and its steps."""
    outside = torch.ones_like(mask)
    outside[block[: mask.ndim]] = False
    if not bool((mask & outside).any()):
        return None
    first = torch.nonzero(mask & outside)[0]
    steps = range(1, _HIGHEST_REDUCTION + 1)
    for taken in itertools.product(steps, repeat=mask.ndim):
        if math.prod(taken) < 2:
            continue
        uniform = torch.zeros_like(mask)
        where = zip(first, taken, strict=True)
        uniform[tuple(slice(int(at) % step, None, step) for at, step in where)] = True
        if bool(((uniform == mask) | ~outside).all()):
            return uniform, taken
    return None
