"""Gather the evidence beside a denoised volume, slice by slice in constant memory."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import find_objects, label

from denoise_engine.errors import ModelError, UnusableVolumeError
from denoise_engine.evidence.record import Evidence
from denoise_engine.evidence.structure import RemovedNoise, StructureTest
from denoise_engine.evidence.uncertainty import uncertainty_of_slice
from denoise_engine.metrics import BoolArray, body_mask
from denoise_engine.noise import checked_volume
from denoise_engine.resampling import map_on_grid
from denoise_engine.snr import snr_in_body

if TYPE_CHECKING:
    from denoise_engine.result import DenoiseResult
    from denoise_engine.runtime import Device, Precision

Floats = NDArray[np.float32]
Progress = Callable[[int, int], None]

# In units of the noise SD: from here on the output is no surer than the input.
UNCERTAINTY_LIMIT = 1.0
_MOST_PLACES = 20


class _Method(Protocol):
    """A method ready to run, with the SNR it was trained for."""

    snr_range: tuple[float, float] | None
    sha256: str

    def __call__(self, images: Floats, sigma: Floats) -> Floats: ...


def gather_evidence(
    volume: ArrayLike,
    result: "DenoiseResult",
    *,
    progress: Progress | None = None,
    memory_limit: int | None = None,
) -> Evidence:
    """Gather what shows whether a denoised volume can be believed.

    The method runs four more times, on the grid and backend of the result, for the uncertainty; all
    the rest takes little time.

    Parameters
    ----------
    volume : array_like
        (slices, rows, columns): the volume that was denoised.
    result : DenoiseResult
        What :func:`denoise_engine.denoise` made of it.
    progress : callable, optional
        Called with (slices done, slices in all).
    memory_limit : int, optional
        Bytes that a network may hold beside the volumes, as for :func:`denoise_engine.denoise`.

    Returns
    -------
    Evidence

    Raises
    ------
    UnusableVolumeError
        If the result is not one of this volume.
    ModelError, BackendError
        If the method of the result is not here any more, has other weights by now, or the memory
        ceiling is too low.

    Notes
    -----
    Uncertainty, structure test and flags are those of the method at full strength; a blend leaves
    part of the input in place and only lessens them. With none of the method's output in the
    result, not even by a bias correction, there is nothing to doubt, and the uncertainty is 0.
    """
    from denoise_engine.methods.filters import open_filter

    image = checked_volume(volume)
    if image.shape != result.volume.shape:
        raise UnusableVolumeError(
            f"The result {result.volume.shape} was not made from this volume {image.shape}."
        )
    given, made, sigma = result.working_input, result.working_output, result.noise_map
    body = body_mask(given)
    # On the backend that was used: the evidence is about this output.
    device, precision = (
        cast("Device", result.backend.device),
        cast("Precision", result.backend.dtype),
    )
    method: _Method = open_filter(result.method, device, precision, memory_limit)
    if method.sha256 != result.weights_sha256:
        raise ModelError(
            f"The weights of “{result.method}” are not those that this result was made with; "
            "denoise again to gather its evidence."
        )
    uncertainty = np.zeros(given.shape, dtype=np.float32)
    flagged = np.zeros(given.shape, dtype=np.bool_)
    gathered = RemovedNoise()
    for k in range(len(given)):
        lost = gathered.add(given[k], made[k], sigma[k], body[k])
        if result.blend > 0 or result.bias is not None:
            uncertainty[k] = uncertainty_of_slice(given[k], sigma[k], method, number=k)
            flagged[k] = body[k] & (lost | (uncertainty[k] > UNCERTAINTY_LIMIT))
        if progress is not None:
            progress(k + 1, len(given))
    structure = gathered.outcome()
    # Only of trained methods is it known what they leave of white noise.
    coloured = structure.coloured and method.snr_range is not None
    shown = map_on_grid(flagged.astype(np.float32), image.shape) >= 0.5
    return Evidence(
        removed=image - result.volume,
        uncertainty=map_on_grid(uncertainty, image.shape),
        flagged=shown,
        noise_map=np.array(map_on_grid(sigma, image.shape)),
        structure=structure,
        warnings=_warnings(result, structure, coloured),
        figures={
            **_figures(result, method.snr_range, body, uncertainty, flagged),
            "noise_trusted": result.sigma_trusted and not coloured,
            "flagged_places": _places(shown),
        },
    )


def _figures(
    result: "DenoiseResult",
    snr_range: tuple[float, float] | None,
    body: BoolArray,
    uncertainty: Floats,
    flagged: BoolArray,
) -> dict[str, Any]:
    """The part of the QC record that is neither structure test nor warning."""
    sigma = result.noise_map[body]
    snr = snr_in_body(result.working_input, result.noise_map, body)
    in_range = None if snr is None or snr_range is None else snr.within(snr_range)
    noisy = sigma > 0
    removed = (result.working_input - result.working_output)[body][noisy] / sigma[noisy]
    taken = result.blend * float(np.sqrt(np.mean(np.square(removed)))) if removed.size else 0.0
    median, p95 = np.percentile(uncertainty[body], (50, 95))
    return {
        "method": result.method,
        "noise_level": round(result.sigma, 6),
        "noise_method": result.sigma_method,
        "noise_confidence": result.sigma_confidence,
        "noise_lowest": round(float(sigma.min()), 6),
        "noise_highest": round(float(sigma.max()), 6),
        "snr": None if snr is None else round(snr.typical, 2),
        "snr_range": None if snr_range is None else [float(edge) for edge in snr_range],
        "in_range": in_range,
        "blend": round(result.blend, 4),
        "gain_body": _rounded(result.achieved_gain),
        "gain_air": _rounded(result.air_gain),
        "removed_sd": round(taken, 4),
        "uncertainty_median": round(float(median), 4),
        "uncertainty_p95": round(float(p95), 4),
        "uncertainty_limit": UNCERTAINTY_LIMIT,
        "flagged_share": round(float(flagged[body].mean()), 6),
    }


def _places(flagged: BoolArray) -> list[dict[str, int]]:
    """The largest connected parts of the flags, slice by slice, largest first."""
    found = []
    for k, plane in enumerate(flagged):
        labels, _ = label(plane, structure=np.ones((3, 3)))
        sizes = np.bincount(labels.ravel())[1:]
        boxes = find_objects(labels)
        # No more of a slice than of the volume: there may be tens of thousands of single pixels.
        for index in np.argsort(-sizes, kind="stable")[:_MOST_PLACES]:
            rows, columns = boxes[index]
            # The flagged pixel nearest to the middle: a ring's own middle is not flagged.
            at = np.argwhere(labels[rows, columns] == index + 1)
            nearest = at[np.argmin(np.square(at - at.mean(axis=0)).sum(axis=1))]
            row, column = int(rows.start + nearest[0]), int(columns.start + nearest[1])
            found.append({"slice": k, "row": row, "column": column, "pixels": len(at)})
    found.sort(key=lambda place: (-place["pixels"], place["slice"], place["row"], place["column"]))
    return found[:_MOST_PLACES]


def _rounded(gain: float | None) -> float | None:
    return round(gain, 4) if gain is not None and math.isfinite(gain) else None


def _warnings(result: "DenoiseResult", structure: StructureTest, coloured: bool) -> tuple[str, ...]:
    """The result's warnings, and what only the evidence shows."""
    found = list(result.warnings)
    if not structure.passed:
        found.append(structure.sentence)
    if coloured and result.sigma_trusted:
        found.append(
            "Take the noise level as untrusted: what was removed holds less fine than middle "
            "detail. The noise of these images is not white, as after compressed sensing or a "
            "filter, or the level is too high. Streaks and aliasing are not noise; they stay, and "
            "stand out more once the noise is gone."
        )
    return tuple(dict.fromkeys(found))
