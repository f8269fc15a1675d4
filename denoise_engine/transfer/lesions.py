"""Painted lesions: which of them survive a method, and what appears that was not there.

Small balls of known size and contrast are painted into the white matter of a clean head, each in a
place of its own; the head with and without them is degraded with the same noise, and both go
through the same method. A lesion survives if, in what the method makes of it, at least half of its
contrast is left at its place, above the method's own errors. Whatever else the method brings
forth, in the head without lesions, that would be taken for one by the same rule is a false lesion.

Any method can be tested: one is a function from the degraded scan to an image on the grid of the
head.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from denoise_engine.errors import SimulationError

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Scan = Callable[[Floats], Floats]
Method = Callable[[Floats], Floats]

SIZES = (2.0, 3.0, 4.0, 6.0)  # mm, diameter
CONTRASTS = (-0.4, -0.2, 0.2)  # of the mean of white matter
_SURVIVES = 0.5
_APART = 2.0  # diameters between centres, at least


@dataclass(frozen=True)
class Lesion:
    """A painted ball: centre in voxels, diameter in mm, contrast as a share of white matter."""

    centre: tuple[int, int, int]
    diameter: float
    contrast: float


@dataclass(frozen=True)
class LesionCount:
    """How the lesions of one size and contrast fared.

    Attributes
    ----------
    diameter, contrast : float
    painted, survived : int
    kept : float
        Mean share of the contrast that was left; below 0 if it was turned round.
    """

    diameter: float
    contrast: float
    painted: int
    survived: int
    kept: float

    @property
    def missed(self) -> int:
        """False negatives."""
        return self.painted - self.survived


@dataclass(frozen=True)
class LesionFigures:
    """What a lesion test found.

    Attributes
    ----------
    counts : list of LesionCount
    invented : int
        False positives: places of white matter, of the painted sizes and each tried once, at which
        the image of the head without lesions shows half of a painted contrast.
    places : int
        That were looked at for these.
    """

    counts: list[LesionCount]
    invented: int
    places: int


def place_lesions(
    white: Mask,
    spacing: tuple[float, float, float],
    *,
    each: int,
    seed: int,
    sizes: Sequence[float] = SIZES,
    contrasts: Sequence[float] = CONTRASTS,
) -> list[Lesion]:
    """Find places for ``each`` lesions of every size and contrast, inside white matter and apart.

    Parameters
    ----------
    white : ndarray of bool
        (slices, rows, columns).
    spacing : tuple of float
        mm.
    each : int
    seed : int

    Raises
    ------
    SimulationError
        There is not enough room.
    """
    rng = np.random.default_rng(seed)
    depth = ndimage.distance_transform_edt(white, sampling=spacing)
    free = np.asarray(white, dtype=np.bool_).copy()
    lesions: list[Lesion] = []
    # The largest first: they find room hardest.
    for diameter in sorted(sizes, reverse=True):
        for contrast in contrasts:
            for _ in range(each):
                possible = np.argwhere(free & (depth > 0.5 * diameter))
                if len(possible) == 0:
                    raise SimulationError(
                        f"There is no room for {each} lesions of every size and contrast in this "
                        "white matter; paint fewer, or smaller ones."
                    )
                k, i, j = (int(v) for v in possible[rng.integers(len(possible))])
                lesions.append(Lesion((k, i, j), diameter, contrast))
                _clear(free, (k, i, j), _APART * diameter, spacing)
    return lesions


def paint(
    volume: Floats,
    lesions: Sequence[Lesion],
    white_mean: float,
    spacing: tuple[float, float, float],
) -> Floats:
    """Return the head with the lesions in it; their borders take part of a voxel."""
    painted = volume.copy()
    for lesion in lesions:
        box, distance = _around(lesion.centre, 0.5 * lesion.diameter + 2, spacing, volume.shape)
        share = np.clip(0.5 * lesion.diameter - distance + 0.5, 0, 1)
        painted[box] += np.float32(lesion.contrast * white_mean) * share.astype(np.float32)
    return np.maximum(painted, 0)


def lesion_test(
    volume: Floats,
    white: Mask,
    white_mean: float,
    spacing: tuple[float, float, float],
    scan: Scan,
    method: Method,
    *,
    each: int = 6,
    seed: int = 0,
) -> LesionFigures:
    """Paint, degrade, run the method, and count.

    Parameters
    ----------
    volume : ndarray of float32
        (slices, rows, columns): a clean head.
    white : ndarray of bool
        Its white matter.
    white_mean : float
        Its mean intensity, unit of ``volume``.
    spacing : tuple of float
        mm.
    scan : callable
        Degrades a head; the same noise each time it is called.
    method : callable
        From the degraded scan to an image on the grid and in the unit of ``volume``.
    each : int
        Lesions of every size and contrast.
    seed : int
        Of the places.
    """
    lesions = place_lesions(white, spacing, each=each, seed=seed)
    without = method(scan(volume))
    with_them = method(scan(paint(volume, lesions, white_mean, spacing)))
    for name, image in (("without", without), ("with", with_them)):
        if image.shape != volume.shape:
            raise SimulationError(
                f"The method gave an image of {image.shape} for the head {name} lesions, which "
                f"measures {volume.shape}."
            )
    counts = []
    for diameter in sorted({lesion.diameter for lesion in lesions}):
        for contrast in sorted({lesion.contrast for lesion in lesions}):
            alike = [x for x in lesions if (x.diameter, x.contrast) == (diameter, contrast)]
            kept = [
                _mean_in(with_them - without, x, spacing) / _painted(x, white_mean, spacing)
                for x in alike
            ]
            survived = sum(
                share >= _SURVIVES and _stands_out(with_them, x, white_mean, spacing)
                for share, x in zip(kept, alike, strict=True)
            )
            counts.append(
                LesionCount(diameter, contrast, len(alike), survived, float(np.mean(kept)))
            )
    # Where a lesion would be counted although neither the head nor the scan has one.
    elsewhere = [
        x
        for x in place_lesions(white, spacing, each=each, seed=seed + 1)
        if not _stands_out(volume, x, white_mean, spacing)
    ]
    invented = sum(_stands_out(without, x, white_mean, spacing) for x in elsewhere)
    return LesionFigures(counts, invented, len(elsewhere))


def _stands_out(
    image: Floats, lesion: Lesion, white_mean: float, spacing: tuple[float, float, float]
) -> bool:
    """Whether a ball differs from the shell around it by half of the painted contrast."""
    difference = _mean_in(image, lesion, spacing) - _shell_median(image, lesion, spacing)
    return difference / _painted(lesion, white_mean, spacing) >= _SURVIVES


def _painted(lesion: Lesion, white_mean: float, spacing: tuple[float, float, float]) -> float:
    """Mean contrast that was painted: less than the nominal, for voxels of the border have part."""
    _, distance = _around((99, 99, 99), 0.5 * lesion.diameter + 2, spacing, (199, 199, 199))
    share = np.clip(0.5 * lesion.diameter - distance + 0.5, 0, 1)
    return lesion.contrast * white_mean * float(np.square(share).sum() / share.sum())


def _mean_in(image: Floats, lesion: Lesion, spacing: tuple[float, float, float]) -> float:
    box, distance = _around(lesion.centre, 0.5 * lesion.diameter + 2, spacing, image.shape)
    share = np.clip(0.5 * lesion.diameter - distance + 0.5, 0, 1)
    return float((image[box] * share).sum() / share.sum())


def _shell_median(image: Floats, lesion: Lesion, spacing: tuple[float, float, float]) -> float:
    reach = 0.5 * lesion.diameter + 3
    box, distance = _around(lesion.centre, reach, spacing, image.shape)
    shell = (distance > 0.5 * lesion.diameter + 1) & (distance <= reach)
    return float(np.median(image[box][shell]))


def _around(
    centre: tuple[int, int, int],
    radius: float,
    spacing: tuple[float, float, float],
    shape: tuple[int, ...],
) -> tuple[tuple[slice, ...], NDArray[np.float64]]:
    """Return the box around a ball, cut at the border of the volume, and distances there in mm."""
    box, squares = [], []
    for middle, step, count in zip(centre, spacing, shape, strict=True):
        reach = int(np.ceil(radius / step))
        first, last = max(0, middle - reach), min(count, middle + reach + 1)
        box.append(slice(first, last))
        squares.append(((np.arange(first, last) - middle) * step) ** 2)
    z, y, x = np.ix_(*squares)
    return tuple(box), np.sqrt(z + y + x)


def _clear(
    free: Mask, centre: tuple[int, int, int], radius: float, spacing: tuple[float, float, float]
) -> None:
    box, distance = _around(centre, radius, spacing, free.shape)
    free[box] &= distance > radius
