"""Painted lesions: which of them survive a method, and what appears that was not there.

Small balls of known size and contrast are painted into the white matter of a clean head, each in a
place of its own; the head with and without them is degraded with the same noise, and both go
through the same method. A lesion survives if, in what the method makes of it, at least half of its
contrast is left at its place, above the method's own errors.

Whatever else the method brings forth, in the head without lesions, that would be taken for one by
the same rule is a false lesion. It is looked for all over the white matter, brighter and darker, at
every size: thousands of places, for what is rare at one of them is common in a head.

Any method can be tested: one is a function from the degraded scan to an image on the grid of the
head.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from denoise_engine.errors import SimulationError

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Centres = NDArray[np.intp]
Sums = NDArray[np.float64]
Scan = Callable[[Floats], Floats]
Method = Callable[[Floats], Floats]

SIZES = (2.0, 3.0, 4.0, 6.0)  # mm, diameter
CONTRASTS = (-0.4, -0.2, 0.2)  # of the mean of white matter
_SURVIVES = 0.5
_APART = 2.0  # diameters between centres, at least
_PLACES_APART = 2 / 3  # of a diameter, between centres of places without a lesion
_MOST_PLACES = 5000  # of one size: more tell nothing more


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
class FalseCount:
    """What of one size appeared that was not there.

    Attributes
    ----------
    diameter : float
    places : int
        Places in white matter, clear of painted lesions, that were looked at.
    darker, brighter : int
        Of them, where the image of the head without lesions shows half of the faintest painted
        contrast: false positives.
    left_out : int
        Further places, at which the head itself shows as much: nothing was invented there.
    """

    diameter: float
    places: int
    darker: int
    brighter: int
    left_out: int

    @property
    def invented(self) -> int:
        return self.darker + self.brighter


@dataclass(frozen=True)
class LesionFigures:
    """What a lesion test found: of what was painted, and of what was not, by size."""

    counts: list[LesionCount]
    false_positives: list[FalseCount]

    @property
    def invented(self) -> int:
        return sum(count.invented for count in self.false_positives)

    @property
    def places(self) -> int:
        return sum(count.places for count in self.false_positives)


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
        share = _share(distance, lesion.diameter)
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
    counts, false_positives = [], []
    for diameter in sorted({lesion.diameter for lesion in lesions}):
        left = 0.5 * white_mean * _nominal_share(diameter, spacing)
        for contrast in sorted({lesion.contrast for lesion in lesions}):
            alike = [x.centre for x in lesions if (x.diameter, x.contrast) == (diameter, contrast)]
            centres = np.array(alike)
            whole = 2 * left * contrast
            kept = ball_means(with_them - without, centres, diameter, spacing) / whole
            there = contrasts_at(with_them, centres, diameter, spacing) / whole
            survived = int(np.count_nonzero((kept >= _SURVIVES) & (there >= _SURVIVES)))
            counts.append(
                LesionCount(diameter, contrast, len(alike), survived, float(np.mean(kept)))
            )
        enough = left * min(abs(lesion.contrast) for lesion in lesions)
        centres = places_without(white, lesions, diameter, spacing, seed=seed)
        plain = np.abs(contrasts_at(volume, centres, diameter, spacing)) < enough
        found = contrasts_at(without, centres[plain], diameter, spacing)
        false_positives.append(
            FalseCount(
                diameter,
                len(found),
                int(np.count_nonzero(found <= -enough)),
                int(np.count_nonzero(found >= enough)),
                int(np.count_nonzero(~plain)),
            )
        )
    return LesionFigures(counts, false_positives)


def places_without(
    white: Mask,
    lesions: Sequence[Lesion],
    diameter: float,
    spacing: tuple[float, float, float],
    *,
    seed: int,
) -> Centres:
    """Find places for balls in white matter that touch no painted lesion: as many as fit, to 5,000.

    Centres are at least two thirds of a diameter apart: neighbours share a part, so that nothing
    between two places is overlooked.

    Parameters
    ----------
    white : ndarray of bool
        (slices, rows, columns).
    lesions : sequence of Lesion
    diameter : float
        mm.
    spacing : tuple of float
        mm.
    seed : int
        Of the order in which places are taken.

    Returns
    -------
    ndarray of int
        (places, 3), voxels.
    """
    depth = ndimage.distance_transform_edt(white, sampling=spacing)
    free = np.asarray(depth > 0.5 * diameter, dtype=np.bool_)
    for lesion in lesions:
        _clear(free, lesion.centre, 0.5 * (diameter + lesion.diameter), spacing)
    around, _ = _offsets(_PLACES_APART * diameter, spacing)
    candidates = np.random.default_rng((seed, 5)).permutation(np.argwhere(free))
    flat, positions, neighbours = _flat(free, candidates, around, False)
    taken: list[int] = []
    for number, position in enumerate(positions):
        if len(taken) == _MOST_PLACES:
            break
        if flat[position]:
            taken.append(number)
            flat[position + neighbours] = False
    return candidates[taken]


def ball_means(
    image: Floats, centres: Centres, diameter: float, spacing: tuple[float, float, float]
) -> Sums:
    """Return the mean in a ball around each centre, voxels of the border in part.

    Parameters
    ----------
    image : ndarray of float32
        (slices, rows, columns); balls that reach beyond it count with what is inside.
    centres : ndarray of int
        (places, 3), voxels.
    diameter : float
        mm.
    spacing : tuple of float
        mm.

    Returns
    -------
    ndarray of float64
        (places,)
    """
    offsets, distance = _offsets(0.5 * diameter + 1, spacing)
    share = _share(distance, diameter)
    values = _gathered(image, centres, offsets[share > 0])
    weights = np.where(np.isnan(values), 0, share[share > 0])
    return np.asarray((np.nan_to_num(values) * weights).sum(axis=1) / weights.sum(axis=1))


def contrasts_at(
    image: Floats, centres: Centres, diameter: float, spacing: tuple[float, float, float]
) -> Sums:
    """Return by how much a ball at each centre differs from the median of the shell around it.

    The shell begins 1 mm outside of the ball and is 2 mm thick. Parameters and result as of
    :func:`ball_means`; unit of the image.
    """
    offsets, distance = _offsets(0.5 * diameter + 3, spacing)
    shell = offsets[(distance > 0.5 * diameter + 1) & (distance <= 0.5 * diameter + 3)]
    values = _gathered(image, centres, shell)
    around = np.median(values, axis=1)
    cut = np.isnan(around)
    around[cut] = np.nanmedian(values[cut], axis=1)
    return ball_means(image, centres, diameter, spacing) - around


def _nominal_share(diameter: float, spacing: tuple[float, float, float]) -> float:
    """Mean share of the contrast that is painted: below 1, voxels of the border have part of it."""
    share = _share(_offsets(0.5 * diameter + 1, spacing)[1], diameter)
    return float(np.square(share).sum() / share.sum())


def _share(distance: Sums, diameter: float) -> Sums:
    """Share of a voxel that lies in a ball, by the distance of their centres in mm."""
    return np.clip(0.5 * diameter - distance + 0.5, 0, 1)


def _offsets(radius: float, spacing: tuple[float, float, float]) -> tuple[NDArray[np.intp], Sums]:
    """Return the voxels within a radius of a centre, (n, 3), and their distances in mm."""
    reach = [int(np.ceil(radius / step)) for step in spacing]
    axes = np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij")
    offsets = np.stack(axes, axis=-1).reshape(-1, 3)
    distance = np.sqrt(np.square(offsets * np.array(spacing)).sum(axis=1))
    return offsets[distance <= radius], distance[distance <= radius]


def _gathered(image: Floats, centres: Centres, offsets: NDArray[np.intp]) -> Floats:
    """Return the voxels around each centre, (places, offsets); NaN beyond the image."""
    flat, positions, neighbours = _flat(image, centres, offsets, np.nan)
    gathered: Floats = flat[positions[:, None] + neighbours]
    return gathered


def _flat(
    volume: NDArray[Any], centres: Centres, offsets: NDArray[np.intp], beyond: float
) -> tuple[NDArray[Any], NDArray[np.intp], NDArray[np.intp]]:
    """Return the volume in one row, continued by ``beyond`` as far as the offsets reach, and where
    the centres lie in it and the offsets lead: one sum instead of three, and no look at borders.
    """
    reach = np.abs(offsets).max(axis=0)
    padded = np.pad(volume, [(r, r) for r in reach], constant_values=beyond)
    steps = np.array([padded.shape[1] * padded.shape[2], padded.shape[2], 1])
    return padded.ravel(), (centres + reach) @ steps, offsets @ steps


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
