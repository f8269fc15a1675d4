"""Seams of ``benchmarks/transfer.py``: what borders of patches leave, and what overlap costs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.transfer_site.cases import SEED
from benchmarks.transfer_site.report import Report
from denoise_engine.runtime import choose_backend
from denoise_engine.transfer.forward import THICK, THREE_TESLA, degrade
from denoise_engine.transfer.grids import interpolate
from denoise_engine.transfer.heads import load_heads, typical_intensity
from denoise_engine.transfer.models import LoadedTransfer
from denoise_engine.transfer.patches import PatchSettings, in_patches, patch_borders

Floats = NDArray[np.float32]

NO_SEAM = 1.25
TALL, WIDE = 160, 144  # slices, and rows and columns: two patches of 96 or more along each axis
BLENDED = PatchSettings(96, 0.25)
UNBLENDED = PatchSettings(96, 0.0, blend=False)
AXES = ("slices", "rows", "columns")
_NEAR, _FAR = 2, 8  # planes from a border with which it is compared
_NONE = 1e-6  # of the typical intensity: rounding


@dataclass(frozen=True)
class Jumps:
    """The largest jump at a border of patches, along each axis; None where there is no border."""

    along: tuple[float | None, float | None, float | None]

    @property
    def worst(self) -> float:
        return max((jump for jump in self.along if jump is not None), default=1.0)

    def __str__(self) -> str:
        return ", ".join(
            f"{name} {'–' if jump is None else format(jump, '.2f')}"
            for name, jump in zip(AXES, self.along, strict=True)
        )


def jumps(
    correction: Floats, whole: Floats, borders: tuple[list[int], list[int], list[int]]
) -> Jumps:
    """Measure the steps of what patches change, across their borders, over those beside them.

    Parameters
    ----------
    correction, whole : ndarray of float32
        (slices, rows, columns): patch by patch, and in one piece. Only their difference is looked
        at: what is there without patches is no seam.
    borders : tuple of list of int
        Of :func:`denoise_engine.transfer.patches.patch_borders`.
    """
    departure = correction - whole
    found: list[float | None] = []
    for axis, positions in enumerate(borders):
        steps = np.abs(np.diff(departure, axis=axis)).mean(axis=other_axes(axis))
        at = {position - 1 for position in positions}
        ratios = []
        for k in at:
            beside = [
                steps[j]
                for j in range(max(0, k - _FAR), min(len(steps), k + _FAR + 1))
                if abs(j - k) >= _NEAR and j not in at
            ]
            if beside:
                ratios.append((steps[k] + _NONE) / (float(np.median(beside)) + _NONE))
        found.append(float(max(ratios)) if ratios else None)
    return Jumps((found[0], found[1], found[2]))


def beside_image(
    correction: Floats,
    whole: Floats,
    image: Floats,
    borders: tuple[list[int], list[int], list[int]],
) -> float:
    """Return how large the largest jump is beside the steps of the image itself, 0 to 1 or more.

    A step across a border, less that of the planes beside it, over the image's own mean step there.

    Parameters
    ----------
    correction, whole, image : ndarray of float32
        (slices, rows, columns): patch by patch, in one piece, and what a reader would see.
    borders : tuple of list of int
    """
    departure, most = correction - whole, 0.0
    for axis, positions in enumerate(borders):
        over = other_axes(axis)
        steps = np.abs(np.diff(departure, axis=axis)).mean(axis=over)
        own = np.abs(np.diff(image, axis=axis)).mean(axis=over)
        for k in (position - 1 for position in positions):
            near = [j for j in range(k - _FAR, k + _FAR + 1) if abs(j - k) >= _NEAR]
            beside = float(np.median([steps[j] for j in near if 0 <= j < len(steps)]))
            most = max(most, (float(steps[k]) - beside) / (float(own[k]) + _NONE))
    return most


def other_axes(axis: int) -> tuple[int, int]:
    """Return the axes of a plane across an axis."""
    return (1, 2) if axis == 0 else (0, 3 - axis)


def seam_table(report: Report, data: Path, networks: dict[str, LoadedTransfer]) -> None:
    """A block of the validation head in one piece and in patches, blended and not."""
    head = load_heads(data, "validation")[0]
    _, rows, columns = head.volume.shape
    low, first, left = (len(head.volume) - TALL) // 2, (rows - WIDE) // 2, (columns - WIDE) // 2
    block = head.volume[low : low + TALL, first : first + WIDE, left : left + WIDE]
    report.begin("Seams and the cost of overlap", networks)
    report.say(
        f"The middle of the validation head ({TALL} × {WIDE} × {WIDE}), thick slices at "
        "× 8 or as at 3 T, patches of 96: two or more along each axis. Looked at is by how much "
        "the correction departs from that of the block in one piece. Jump: the mean step of this "
        f"departure across a border of patches over that {_NEAR} to {_FAR} planes beside it, the "
        "largest of all borders; 1 is none. Beside it, how large the largest jump is in % of the "
        "mean step of the image itself at that place. Seconds are those of one processor core.",
        "",
        "| network | overlap | blended | jump along slices | rows | columns | "
        "largest, % of the image’s steps | departure, % of the correction | seconds |",
        "| --- |" + " --- |" * 8,
    )
    backend = choose_backend("cpu", "auto")
    for name, network in networks.items():
        factor = max(network.card["architecture"]["factors"])
        how = THREE_TESLA[1] if factor == 1 else THICK[factor]
        scan = degrade(block, how, head.tissues, np.random.default_rng(SEED))
        scan = scan / np.float32(typical_intensity(scan))
        in_one = PatchSettings(192, 0.0, blend=False)
        whole, _ = in_patches(network.network, scan, factor, settings=in_one, backend=backend)
        found = {}
        for settings in (UNBLENDED, BLENDED, PatchSettings(96, 0.5)):
            began = time.process_time()
            correction, _ = in_patches(
                network.network, scan, factor, settings=settings, backend=backend
            )
            seconds = time.process_time() - began
            slices, height, width = scan.shape
            borders = patch_borders((slices, height, width), factor, settings)
            found[settings] = jumps(correction, whole, borders)
            along = " | ".join("–" if j is None else f"{j:.2f}" for j in found[settings].along)
            seen = beside_image(correction, whole, interpolate(scan, factor) + whole, borders)
            departs = np.sqrt(np.square(correction - whole).mean() / np.square(whole).mean())
            report.say(
                f"| {name} | {settings.overlap:.0%} | {'yes' if settings.blend else 'no'} | "
                f"{along} | {seen:.1%} | {departs:.1%} | {seconds:.1f} |"
            )
        seam_mark(report, name, found[BLENDED], found[UNBLENDED])


def seam_mark(report: Report, name: str, blended: Jumps, unblended: Jumps) -> None:
    """Blended patches pass; and those that are not must fail, or the figure sees nothing."""
    seen = unblended.worst >= NO_SEAM
    told = f"jump {blended}; unblended {unblended}"
    if not seen:
        told += f": no seam above {NO_SEAM:g} even unblended, so blending proves nothing here"
    report.mark(name, "no seam at an overlap of 25 %", told, seen and blended.worst < NO_SEAM)
