"""Grey matter, white matter and CSF of a T1-weighted head, and their volumes.

A mixture of three Gaussians with a place-dependent prior: the MNI152 tissue maps, laid onto the
head by an affine registration, times a smooth factor for the coil's sensitivity (after Ashburner
and Friston 2005, without the deformations). What is segmented is the brain of the template. It is a
yardstick that runs anywhere, not a clinical segmentation; how far it is right is told by the label
maps, whose tissues are known.

Images of the same head are segmented each by itself, with the same placement of the priors, so that
volumes differ by the images alone.

References
----------
Ashburner J, Friston KJ. Unified segmentation. NeuroImage 2005;26:839-851.
Fonov V, et al. Unbiased average age-appropriate atlases for pediatric studies. NeuroImage
2011;54:313-327 (the tissue maps, MNI 2009a).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from denoise_engine.errors import TrainingDataError
from denoise_engine.transfer.heads import Head, read_axial
from denoise_engine.transfer.registration import Affine, register

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

GREY, WHITE, CSF = 1, 2, 3
NAMES = {GREY: "GM", WHITE: "WM", CSF: "CSF"}

_HEAD = "anatomy/colin27-t1-1mm.nii.gz"
_MAPS = {
    "brain": "anatomy/mni152-2009a-t1-1mm.nii.gz",
    "grey": "anatomy/mni152-2009a-gm-1mm.nii.gz",
    "white": "anatomy/mni152-2009a-wm-1mm.nii.gz",
}
_ITERATIONS = 24
_FIELD_WIDTH = 30.0  # mm, SD of the smooth sensitivity
_SOFTENED = 0.15  # share of the prior that knows nothing of the place


@dataclass(frozen=True)
class Priors:
    """Tissue priors on the grid of a head.

    Attributes
    ----------
    maps : ndarray of float32
        (3, slices, rows, columns): GM, WM, CSF; they sum to 1 in the brain.
    brain : ndarray of bool
    correlation : float
        Of the registration that laid them there.
    """

    maps: Floats
    brain: Mask
    correlation: float


@dataclass(frozen=True)
class Template:
    """The MNI tissue maps, and a whole head in their space."""

    head: Floats
    head_affine: Affine
    maps: Floats
    brain: Mask
    affine: Affine


def read_template(folder: Path) -> Template:
    """Read Colin27 and the MNI152 maps from the data folder.

    Raises
    ------
    TrainingDataError
        One is missing.
    """
    for path in (_HEAD, *_MAPS.values()):
        if not (folder / path).exists():
            raise TrainingDataError(f"The data folder lacks “{path}”, which segmentation needs.")
    head, head_affine, _ = read_axial(folder / _HEAD)
    brain, affine, _ = read_axial(folder / _MAPS["brain"])
    grey = read_axial(folder / _MAPS["grey"])[0] / 255
    white = read_axial(folder / _MAPS["white"])[0] / 255
    inside = ndimage.binary_fill_holes(brain > 0)
    csf = np.where(inside, np.clip(1 - grey - white, 0, 1), 0)
    maps = np.stack([grey, white, csf]).astype(np.float32)
    return Template(head, head_affine, maps, np.asarray(inside, dtype=np.bool_), affine)


def place_priors(template: Template, head: Head) -> Priors:
    """Lay the tissue maps onto a head."""
    on_head = ndimage.affine_transform(
        template.brain.astype(np.float32),
        *_between(template.affine, template.head_affine),
        output_shape=template.head.shape,
        order=1,
    )
    placed = register(template.head, template.head_affine, on_head > 0.5, head.volume, head.affine)
    shape = head.volume.shape
    maps = np.stack(
        [placed.carry(one, template.affine, shape, head.affine) for one in template.maps]
    )
    inside = placed.carry(template.brain.astype(np.float32), template.affine, shape, head.affine)
    total = maps.sum(axis=0)
    maps[2] += np.clip(inside - total, 0, 1)
    maps /= np.maximum(maps.sum(axis=0), 1e-3)
    return Priors(maps.astype(np.float32), inside > 0.5, placed.correlation)


def segment(
    volume: Floats, priors: Priors, spacing: tuple[float, float, float]
) -> NDArray[np.uint8]:
    """Return the tissue of each voxel of the brain: 0 none, 1 GM, 2 WM, 3 CSF.

    Parameters
    ----------
    volume : ndarray of float32
        (slices, rows, columns), T1-weighted, on the grid of the priors.
    priors : Priors
    spacing : tuple of float
        mm.
    """
    step = max(1, round(2.0 / min(spacing)))
    every = (slice(None, None, step),) * 3
    means, spreads, field = _fit(
        volume[every], priors.maps[(slice(None), *every)], priors.brain[every], spacing, step
    )
    sensitivity = ndimage.zoom(
        field, [n / m for n, m in zip(volume.shape, field.shape, strict=True)], order=1
    )
    where = priors.brain
    values = volume[where] / sensitivity[where]
    likely = _posteriors(values, _softened(priors.maps[:, where]), means, spreads)
    out = np.zeros(volume.shape, dtype=np.uint8)
    out[where] = likely.argmax(axis=0) + 1
    return out


def tissue_volumes(
    labels: NDArray[np.uint8], spacing: tuple[float, float, float]
) -> dict[str, float]:
    """Return the volume of each tissue in mm³."""
    voxel = float(np.prod(spacing))
    return {name: float(np.count_nonzero(labels == k)) * voxel for k, name in NAMES.items()}


def dice(labels: NDArray[np.uint8], reference: NDArray[np.uint8]) -> dict[str, float]:
    """Return Dice's overlap of each tissue, 0 to 1."""
    found = {}
    for k, name in NAMES.items():
        a, b = labels == k, reference == k
        both = int(np.count_nonzero(a)) + int(np.count_nonzero(b))
        found[name] = 2 * float(np.count_nonzero(a & b)) / both if both else 1.0
    return found


def _fit(
    volume: Floats, maps: Floats, brain: Mask, spacing: tuple[float, float, float], step: int
) -> tuple[Floats, Floats, Floats]:
    """Expectation and maximisation on a coarse grid: means, SDs and sensitivity."""
    values = volume[brain]
    prior = _softened(maps[:, brain])
    # The first means: of the voxels that the priors are surest of.
    means = np.array([_weighted_median(values, p**4) for p in prior], dtype=np.float32)
    means[2] = min(float(means[2]), 0.6 * float(means[0]))
    spreads = np.full(3, 0.15 * float(means[1]), dtype=np.float32)
    field = np.ones(volume.shape, dtype=np.float32)
    widths = [_FIELD_WIDTH / (s * step) for s in spacing]
    for iteration in range(_ITERATIONS):
        flat = values / field[brain]
        likely = _posteriors(flat, prior, means, spreads)
        weights = likely.sum(axis=1) + 1e-6
        means = (likely @ flat) / weights
        spreads = np.sqrt(
            np.array(
                [(p @ (flat - m) ** 2) / w for p, m, w in zip(likely, means, weights, strict=True)]
            )
        )
        spreads = np.maximum(spreads, 0.02 * means[1]).astype(np.float32)
        if iteration % 4 == 3:
            field = _sensitivity(values, brain, likely, means, spreads, widths)
    return means.astype(np.float32), spreads, field


def _sensitivity(
    values: Floats, brain: Mask, likely: Floats, means: Floats, spreads: Floats, widths: list[float]
) -> Floats:
    """Smooth ratio of the image to what the tissues' means say, from grey and white matter."""
    expected = likely[:2].T @ means[:2]
    trust = likely[:2].sum(axis=0) ** 2
    above, below = np.zeros((2, *brain.shape), dtype=np.float32)
    above[brain] = trust * values
    below[brain] = trust * np.maximum(expected, 1e-3)
    up, down = (ndimage.gaussian_filter(a, widths) for a in (above, below))
    floor = 1e-3 * float(down.max())
    field = np.where(down > floor, up / np.maximum(down, floor), 1.0)
    return np.asarray(field / np.median(field[brain]), dtype=np.float32)


def _posteriors(values: Floats, prior: Floats, means: Floats, spreads: Floats) -> Floats:
    distance = (values[None] - means[:, None]) / spreads[:, None]
    # Darker than CSF is CSF, brighter than white matter is white matter.
    distance[2] = np.maximum(distance[2], 0)
    distance[1] = np.minimum(distance[1], 0)
    likely = prior * np.exp(-0.5 * distance**2) / spreads[:, None] + 1e-12
    return np.asarray(likely / likely.sum(axis=0), dtype=np.float32)


def _softened(prior: Floats) -> Floats:
    return (1 - _SOFTENED) * prior + _SOFTENED / 3


def _weighted_median(values: Floats, weights: Floats) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][int(np.searchsorted(total, total[-1] / 2))])


def _between(source: Affine, target: Affine) -> tuple[Affine, Affine]:
    """Return what affine_transform needs to bring an array of one space onto another's grid."""
    matrix = np.linalg.inv(source) @ target
    return matrix[:3, :3], matrix[:3, 3]
