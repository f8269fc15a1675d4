"""A volume through a network patch by patch, blended smoothly so that no seam is left.

Near the border of a patch a network sees less than it was trained to. Patches overlap, and where
they do each counts by a sin² of how far it is from its border (MONAI's sliding window adds them
up, in single precision). At its border a patch counts for nothing: whatever is left there, as a
Gaussian leaves, shows as a step. The volume is first continued beyond its borders, so that its own
edge lies inside of the first patches.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from denoise_engine.errors import UnusableVolumeError
from denoise_engine.runtime import Backend
from denoise_engine.transfer.networks import TransferNetwork, slices_at_once

Floats = NDArray[np.float32]
Progress = Callable[[int, int], None]

WINDOW = "sin2"  # for records: those without a word on it are of a Gaussian
_EDGE_SLICES = 2  # thick slices by which the volume is continued
_EDGE_PIXELS = 8


@dataclass(frozen=True)
class PatchSettings:
    """How a volume is cut.

    Attributes
    ----------
    size : int
        Rows and columns of a patch, and its length along the slices on the fine grid; a multiple
        of 16, at least 32.
    overlap : float
        Share of a patch that the next one sees again, in each direction: 0, 0.25, 0.5 or 0.75.
    blend : bool
        Whether patches fade into one another; without it all count alike, which shows seams.
    """

    size: int = 96
    overlap: float = 0.25
    blend: bool = True

    def __post_init__(self) -> None:
        if self.size < 32 or self.size % 16:
            raise UnusableVolumeError(
                f"A patch must measure a multiple of 16, at least 32, not {self.size}."
            )
        if self.overlap not in (0.0, 0.25, 0.5, 0.75):
            raise UnusableVolumeError(
                f"The overlap must be 0, 0.25, 0.5 or 0.75, not {self.overlap:g}."
            )


def in_patches(
    network: TransferNetwork,
    thick: Floats,
    factor: int,
    *,
    settings: PatchSettings,
    backend: Backend,
    progress: Progress | None = None,
) -> tuple[Floats, Floats]:
    """Run a network over a volume.

    Parameters
    ----------
    network : TransferNetwork
        On the device of ``backend``.
    thick : ndarray of float32
        (slices, rows, columns), intensities about 1.
    factor : int
    settings : PatchSettings
    backend : Backend
    progress : callable, optional
        Called with (patches done, patches in all).

    Returns
    -------
    correction, variance : ndarray of float32
        (factor · slices, rows, columns): of cubic interpolation, and of the error to be expected.
    """
    from monai.inferers.utils import sliding_window_inference

    network.low_precision = backend.dtype == "bfloat16"
    roi = (settings.size // factor, settings.size, settings.size)
    fine = (roi[0] * factor, roi[1], roi[2])
    padded, before = _continued(thick, roi, slices_at_once(factor))
    total = _patch_count(padded.shape, roi, settings.overlap)
    done = 0

    def predict(patch: Tensor) -> Tensor:
        nonlocal done
        if network.low_precision:
            patch = patch.contiguous(memory_format=torch.channels_last_3d)
        correction, log_variance = network(patch, factor)
        done += 1
        if progress is not None:
            progress(min(done, total), total)
        return torch.cat([correction, log_variance.exp()], dim=1)

    with torch.no_grad():
        found = sliding_window_inference(
            torch.from_numpy(padded)[None, None].to(backend.device),
            roi,
            1,
            predict,
            overlap=settings.overlap,
            # On the fine grid: MONAI would repeat one of the coarse grid, in steps.
            roi_weight_map=window(fine, settings.overlap) if settings.blend else None,
        )
    assert isinstance(found, Tensor)
    slices, rows, columns = thick.shape
    k, i, j = before
    inner = found[0, :, k * factor : (k + slices) * factor, i : i + rows, j : j + columns].cpu()
    return inner[0].contiguous().numpy(), inner[1].contiguous().numpy()


def window(size: tuple[int, int, int], overlap: float) -> Tensor:
    """Return by how much each voxel of a patch counts.

    Along an axis the falling side of a patch and the rising one of the next add up to 1, where
    they overlap by up to half of their length.

    Parameters
    ----------
    size : tuple of int
        Of the patch on the fine grid: slices, rows, columns.
    overlap : float
        Share of a patch that the next one sees again.

    Returns
    -------
    Tensor of float32
        (1, 1, slices, rows, columns), above 0, at most 1.
    """
    sides = []
    for length in size:
        ramp = min(round(length * overlap), length // 2)
        from_border = torch.arange(length, dtype=torch.float32) + 0.5
        from_border = torch.minimum(from_border, length - from_border)
        rising = (torch.pi / 2 * (from_border / max(ramp, 1)).clamp(max=1)).sin().square()
        sides.append(rising if ramp else torch.ones(length))
    slices, rows, columns = sides
    return (slices[:, None, None] * rows[None, :, None] * columns[None, None, :])[None, None]


def patch_borders(
    shape: tuple[int, int, int], factor: int, settings: PatchSettings
) -> tuple[list[int], list[int], list[int]]:
    """Return where patches begin or end inside of a volume, along each axis of the fine grid.

    Parameters
    ----------
    shape : tuple of int
        Of the thick volume: slices, rows, columns.
    factor : int
    settings : PatchSettings

    Returns
    -------
    tuple of list of int
        A border at k lies between the fine slices (rows, columns) k − 1 and k.
    """
    from monai.data.utils import dense_patch_slices

    roi = (settings.size // factor, settings.size, settings.size)
    padded, before = _continued(np.empty(shape, dtype=np.float32), roi, slices_at_once(factor))
    steps = [
        size if size == count else max(int(size * (1 - settings.overlap)), 1)
        for size, count in zip(roi, padded.shape, strict=True)
    ]
    patches = dense_patch_slices(padded.shape, roi, steps)
    borders: tuple[list[int], list[int], list[int]] = ([], [], [])
    for axis, found in enumerate(borders):
        times = factor if axis == 0 else 1
        ends = {end for patch in patches for end in (patch[axis].start, patch[axis].stop)}
        within = sorted((end - before[axis]) * times for end in ends)
        found += [end for end in within if 0 < end < shape[axis] * times]
    return borders


def _continued(
    thick: Floats, roi: tuple[int, int, int], multiple: int
) -> tuple[Floats, tuple[int, int, int]]:
    """Repeat the outermost slices, rows and columns, at least to the size of a patch."""
    widths = []
    for axis, (count, least) in enumerate(zip(thick.shape, roi, strict=True)):
        edge = _EDGE_SLICES if axis == 0 else _EDGE_PIXELS
        of = multiple if axis == 0 else 8
        wanted = max(count + 2 * edge, least)
        wanted += -wanted % of
        before = (wanted - count) // 2
        widths.append((before, wanted - count - before))
    before_all = (widths[0][0], widths[1][0], widths[2][0])
    return np.pad(thick, widths, mode="edge"), before_all


def _patch_count(shape: tuple[int, ...], roi: tuple[int, int, int], overlap: float) -> int:
    counts = []
    for total, size in zip(shape, roi, strict=True):
        step = max(int(size * (1 - overlap)), 1)
        counts.append(1 if total <= size else int(np.ceil((total - size) / step)) + 1)
    return int(np.prod(counts))
