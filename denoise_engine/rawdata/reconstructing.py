"""From raw data to images in the patient: sampling, reconstruction, place, and the record of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from denoise_engine.errors import RawDataError, ReconstructionError
from denoise_engine.rawdata.filling import from_image
from denoise_engine.rawdata.placing import PlacedVolume, place
from denoise_engine.rawdata.scan import Complex, Mask, RawData
from denoise_engine.rawdata.undersampling import (
    Sampling,
    is_one_block,
    is_regular,
    undersampled,
)

Floats = NDArray[np.float32]
Progress = Callable[[int, int], None]

# A full scan is combined from its coils; so weak a prior changes nothing (1 part in 10⁴). Where
# lines are missing it would let their noise grow as much.
BOUND_OF_FULL = 50.0
SETTINGS_OF = {"bound": "sense", "penalty": "cs", "model": "unrolled"}
BOUND = 5.0  # where plain SENSE is best: see the documentation


@dataclass(frozen=True)
class RawReconstruction:
    """Images from raw data.

    Attributes
    ----------
    placed : PlacedVolume
        Magnitude (slices, rows, columns) float32, in units of the noise SD where the noise is
        known, with the place of every slice.
    noise_map : ndarray of float32
        SD of the noise on the grid of the images, before their magnitude was taken.
    g_factor : ndarray of float32 or None
        How much the reconstruction amplified the noise, on the same grid.
    record : dict
        How the images were made, in plain JSON values.
    acquired : dict
        What the file says of the acquisition.
    seconds : float
    """

    placed: PlacedVolume
    noise_map: Floats
    g_factor: Floats | None
    record: dict[str, Any]
    acquired: dict[str, Any]
    seconds: float

    @property
    def volume(self) -> Floats:
        return np.asarray(self.placed.volume, dtype=np.float32)


@dataclass(frozen=True)
class Reconstruction:
    """What is asked for. `method` None takes what fits the sampling of the scan."""

    method: str | None = None
    sampling: Sampling | None = None
    bound: float | None = None
    penalty: float | None = None
    model: str | None = None


def reconstruct_raw(
    raw: RawData,
    wanted: Reconstruction = Reconstruction(),
    *,
    progress: Progress | None = None,
    memory_limit: int | None = None,
) -> RawReconstruction:
    """Reconstruct raw data and put the images into the patient.

    Parameters
    ----------
    raw : RawData
    wanted : Reconstruction
        Method and settings of :func:`denoise_engine.reconstruction.reconstruct`, and which samples
        to use. Without a method a full scan is combined from its coils; lines that partial Fourier
        or a lower resolution left out stay zero, as coils tell little of them; a regularly
        undersampled scan goes through regularised SENSE, any other through compressed sensing.
    progress : callable, optional
        Called with (slices done, slices in all).
    memory_limit : int, optional
        Bytes that reconstructing may take.

    Raises
    ------
    RawDataError, ReconstructionError
    """
    start = time.perf_counter()
    full_scan = is_one_block(raw)
    used = raw if wanted.sampling is None else undersampled(raw, wanted.sampling)
    method, bound = _settled(used, wanted)
    stacked = _as_slices(used)
    options: dict[str, Any] = {"method": method, "memory_limit": memory_limit}
    for name, value in (("bound", bound), ("penalty", wanted.penalty), ("model", wanted.model)):
        if value is not None:
            options[name] = value
    images, noise, g_factor, records = _in_groups(stacked, options, progress)
    if stacked is not used:  # planes again as the placement has them
        images, noise = images.transpose(2, 1, 0), noise.transpose(2, 1, 0)
        g_factor = None if g_factor is None else g_factor.transpose(2, 1, 0)
    placed = place(images, raw.placement)
    seconds = time.perf_counter() - start
    record = {
        **_flat(records[0]),
        "acceleration": round(used.acceleration, 4),
        "undersampling": None if wanted.sampling is None else wanted.sampling.as_json(),
        "retrospective": full_scan and wanted.sampling is not None and not wanted.sampling.is_full,
        "coils": raw.coils,
        "lines": int(used.mask_of(0).any(axis=1).sum()),
        "grid": "x".join(map(str, placed.volume.shape)),
        "warnings": list(
            dict.fromkeys(
                [*raw.warnings, *(text for one in records for text in one.get("warnings", []))]
            )
        ),
    }
    return RawReconstruction(
        placed=_magnitude(placed),
        noise_map=np.asarray(place(noise, raw.placement).volume, dtype=np.float32),
        g_factor=None
        if g_factor is None
        else np.asarray(place(g_factor, raw.placement).volume, dtype=np.float32),
        record=record,
        acquired=raw.acquired,
        seconds=seconds,
    )


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    """A network told of in the words that all records have for it."""
    model = record.get("model")
    if not isinstance(model, dict):
        return record
    return {
        **record,
        "model": model.get("name"),
        "model_version": model.get("version"),
        "weights_sha256": model.get("sha256") or model.get("weights_sha256"),
    }


def _settled(used: RawData, wanted: Reconstruction) -> tuple[str, float | None]:
    """The method, and the bound where it has one."""
    method = wanted.method
    if method is None:
        method = _fitting(used)
    given = {"bound": wanted.bound, "penalty": wanted.penalty, "model": wanted.model}
    for name, value in given.items():
        if value is not None and method != SETTINGS_OF[name]:
            # It would change nothing, and whoever gave it counts on it.
            raise ReconstructionError(
                f"The setting “{name}” belongs to the method {SETTINGS_OF[name]}, not to {method}"
                + (", which fits this sampling." if wanted.method is None else ".")
            )
    if method != "sense" or wanted.bound is not None:
        return method, wanted.bound
    return method, BOUND_OF_FULL if used.is_fully_sampled else BOUND


def _fitting(used: RawData) -> str:
    if used.is_fully_sampled:
        return "sense"
    if is_one_block(used):
        return "zero-filled"
    return "sense" if is_regular(used) else "cs"


def _as_slices(raw: RawData) -> RawData:
    """A 3-D scan whose partitions were all sampled alike, as the slices that it then is.

    The transform along the partitions is undone first, the one along the readout done again: phase
    encoding and readout remain, like of a 2-D scan.
    """
    alike = raw.mask.ndim == 2 and bool((raw.mask == raw.mask[:, :1]).all())
    if not (raw.placement.is_3d and alike) or raw.calibration is not None:
        return raw
    block = scipy.fft.ifft(scipy.fft.ifftshift(raw.kspace, axes=3), axis=3, norm="ortho")
    block = scipy.fft.fftshift(block, axes=3).transpose(3, 1, 2, 0)  # partition, coil, phase, read
    kspace = from_image(np.ascontiguousarray(block, dtype=np.complex64))
    mask = np.ascontiguousarray(np.broadcast_to(raw.mask[:, :1], kspace.shape[2:]))
    return RawData(
        kspace=np.where(mask, kspace, np.complex64(0)),
        mask=mask,
        placement=raw.placement,
        noise=raw.noise,
        acquired=raw.acquired,
        warnings=raw.warnings,
    )


def _in_groups(
    raw: RawData, options: dict[str, Any], progress: Progress | None
) -> tuple[Complex, Floats, Floats | None, list[dict[str, Any]]]:
    """Planes that were sampled alike are reconstructed together."""
    from denoise_engine.reconstruction import reconstruct

    rows, columns = raw.matrix
    images = np.empty((raw.planes, rows, columns), dtype=np.complex64)
    noise = np.empty((raw.planes, rows, columns), dtype=np.float32)
    g_factor: Floats | None = np.empty_like(noise)
    records: list[dict[str, Any]] = []
    done = 0
    if progress is not None:
        progress(0, raw.planes)

    def report(planes: int, _in_all: int) -> None:
        if progress is not None:
            progress(done + planes, raw.planes)

    for mask, planes in _groups(raw):
        result = reconstruct(
            raw.kspace[planes],
            mask,
            noise=raw.noise,
            calibration=None if raw.calibration is None else raw.calibration[planes],
            progress=report,
            **options,
        )
        if not np.all(np.isfinite(result.image)):
            raise RawDataError("The reconstruction gave values that are no number.")
        images[planes], noise[planes] = result.image, result.noise_map
        if result.g_factor is None:
            g_factor = None
        elif g_factor is not None:
            g_factor[planes] = result.g_factor
        records.append(result.record())
        done += len(planes)
    return images, noise, g_factor, records


def _groups(raw: RawData) -> list[tuple[Mask, list[int]]]:
    if raw.mask.ndim == 2:
        return [(raw.mask, list(range(raw.planes)))]
    found: dict[bytes, list[int]] = {}
    for plane in range(raw.planes):
        found.setdefault(raw.mask[plane].tobytes(), []).append(plane)
    return [(raw.mask[planes[0]], planes) for planes in found.values()]


def _magnitude(placed: PlacedVolume) -> PlacedVolume:
    return PlacedVolume(
        volume=np.abs(placed.volume).astype(np.float32),
        positions=placed.positions,
        orientation=placed.orientation,
        row_spacing=placed.row_spacing,
        column_spacing=placed.column_spacing,
        slice_spacing=placed.slice_spacing,
        thickness=placed.thickness,
    )
