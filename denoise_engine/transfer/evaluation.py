"""Enhanced images against the head itself: PSNR, SSIM, RMSE, tissue volumes and their overlap.

Everything is measured inside the brain of the template's placement. The peak is the 99.9th
percentile of the reference there: a single bright vessel must not decide.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from denoise_engine.metrics import psnr, rmse, ssim
from denoise_engine.transfer.forward import Degradation, degrade
from denoise_engine.transfer.heads import Head
from denoise_engine.transfer.segmentation import (
    Priors,
    dice,
    segment,
    tissue_volumes,
)

Floats = NDArray[np.float32]
Labels = NDArray[np.uint8]

_SD = 1.5


@dataclass(frozen=True)
class Quality:
    """How near an image comes to its reference.

    Attributes
    ----------
    psnr : float
        dB, in the brain.
    ssim : float
        Mean over the slices of each one's mean in the brain.
    ssim_3d : float
        With a window that reaches into neighbouring slices.
    rmse : float
        Per cent of the mean of grey and white matter.
    volumes : dict
        mm³ of GM, WM and CSF.
    bias : dict
        Per cent by which each volume departs from the reference's; negative: too small.
    dice : dict
        Overlap of each tissue with that of the reference.
    detail : float
        Energy of fine detail (what a Gaussian of SD 1 voxel takes away) in per cent of that of the
        reference: sharpness, wherever it comes from; noise counts.
    true_detail : float
        Share of the reference's fine detail that is found again, in per cent: its projection on
        that of the reference. What was made up, and noise, does not count. It is no part of
        ``detail``: of detail half as strong as the reference's, 50 is found again, and its energy
        is 25.
    psnr_of_slices, ssim_of_slices : list of float
        Of each slice that holds brain, for paired comparison.
    """

    psnr: float
    ssim: float
    ssim_3d: float
    rmse: float
    volumes: dict[str, float]
    bias: dict[str, float]
    dice: dict[str, float]
    detail: float
    true_detail: float
    psnr_of_slices: list[float] = field(repr=False)
    ssim_of_slices: list[float] = field(repr=False)

    @property
    def detail_error(self) -> float:
        """Energy of what the fine detail differs by, in per cent of that of the reference.

        Missing, made up, and noise together: 0 is the reference, 100 as far from it as no detail.
        """
        return self.detail - 2 * self.true_detail + 100


@dataclass(frozen=True)
class Reference:
    """A head, where its brain is, and what its tissues are."""

    head: Head
    priors: Priors
    labels: Labels
    peak: float


def reference_of(head: Head, priors: Priors, labels: Labels | None = None) -> Reference:
    """Segment a head, or take the tissues that are known."""
    found = segment(head.volume, priors, head.spacing) if labels is None else labels
    peak = float(np.percentile(head.volume[priors.brain], 99.9))
    return Reference(head, priors, found, peak)


def simulate(head: Head, how: Degradation, seed: int) -> Floats:
    """Return the scan of lower quality of a whole head, whose slices are a multiple of the factor.

    The noise depends on the seed alone.
    """
    return degrade(head.volume, how, head.tissues, np.random.default_rng(seed))


def trimmed(head: Head, multiple: int) -> Head:
    """Leave slices off at the foot until their number is a multiple."""
    surplus = len(head.volume) % multiple
    affine = head.affine.copy()
    affine[:3, 3] += surplus * affine[:3, 0]
    labels = None if head.labels is None else head.labels[surplus:]
    return Head(head.source, head.volume[surplus:], head.spacing, affine, head.tissues, labels)


def judge(image: Floats, reference: Reference) -> Quality:
    """Compare an image with its reference.

    Parameters
    ----------
    image : ndarray of float32
        On the grid of the reference, in its unit.
    reference : Reference
    """
    head, brain, peak = reference.head, reference.priors.brain, reference.peak
    truth = head.volume
    labels = segment(image, reference.priors, head.spacing)
    volumes = tissue_volumes(labels, head.spacing)
    wanted = tissue_volumes(reference.labels, head.spacing)
    slices = [k for k in range(len(truth)) if brain[k].mean() > 0.02]
    of_slices = [
        (
            psnr(image[k], truth[k], brain[k], peak=peak),
            ssim(image[k : k + 1], truth[k : k + 1], brain[k : k + 1], peak=peak),
        )
        for k in slices
    ]
    detail, true_detail = fine_detail(image, truth, brain)
    return Quality(
        psnr=psnr(image, truth, brain, peak=peak),
        ssim=float(np.mean([s for _, s in of_slices])),
        ssim_3d=ssim_3d(image, truth, brain, peak),
        rmse=100 * rmse(image, truth, brain) / head.tissues.mean,
        volumes=volumes,
        bias={name: 100 * (volumes[name] / wanted[name] - 1) for name in volumes},
        dice=dice(labels, reference.labels),
        detail=detail,
        true_detail=true_detail,
        psnr_of_slices=[p for p, _ in of_slices],
        ssim_of_slices=[s for _, s in of_slices],
    )


def fine_detail(image: Floats, reference: Floats, mask: NDArray[np.bool_]) -> tuple[float, float]:
    """Return how much fine detail an image has, and how much of the reference's, in per cent.

    Parameters
    ----------
    image, reference : ndarray of float32
        (slices, rows, columns).
    mask : ndarray of bool
    """
    box = tuple(
        slice(max(0, int(where.min()) - 4), int(where.max()) + 5) for where in np.nonzero(mask)
    )
    inside = mask[box]
    found, wanted = (
        (a[box] - ndimage.gaussian_filter(a[box], 1.0))[inside].astype(np.float64)
        for a in (image, reference)
    )
    energy = float(wanted @ wanted)
    return 100 * float(found @ found) / energy, 100 * float(found @ wanted) / energy


def ssim_3d(image: Floats, reference: Floats, mask: NDArray[np.bool_], peak: float) -> float:
    """Structural similarity with a Gaussian window of SD 1.5 voxels in all three directions.

    Parameters
    ----------
    image, reference : ndarray of float32
        (slices, rows, columns).
    mask : ndarray of bool
        Where the local values are averaged; only its surroundings are looked at.
    peak : float
        Dynamic range.
    """
    box = tuple(
        slice(max(0, int(where.min()) - 6), int(where.max()) + 7) for where in np.nonzero(mask)
    )
    x, y, inside = (a[box].astype(np.float32) / np.float32(peak) for a in (image, reference, mask))

    def mean(a: Floats) -> Floats:
        smoothed: Floats = ndimage.gaussian_filter(a, _SD, truncate=3.5)
        return smoothed

    mx, my = mean(x), mean(y)
    vx, vy, vxy = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    values = ((2 * mx * my + c1) * (2 * vxy + c2)) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    return float(values[inside > 0].mean())
