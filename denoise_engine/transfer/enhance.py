"""Thin slices from thick ones: check, interpolate, correct by a network, say what to doubt."""

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from denoise_engine.errors import UnusableVolumeError
from denoise_engine.runtime import Backend, Device, Precision, choose_backend, ran_out_of_memory
from denoise_engine.transfer.calibration import calibration_in
from denoise_engine.transfer.checks import (
    Spacing,
    checked_scan,
    chosen_factor,
    contrast_warnings,
    refuse_without_skull,
)
from denoise_engine.transfer.grids import interpolate
from denoise_engine.transfer.heads import typical_intensity
from denoise_engine.transfer.models import DEFAULT_MODEL, LoadedTransfer, load_transfer
from denoise_engine.transfer.patches import WINDOW, PatchSettings, Progress, in_patches

Floats = NDArray[np.float32]

SAMPLES = 8


@dataclass(frozen=True)
class TransferResult:
    """A volume of thinner slices and what is known of its errors.

    Attributes
    ----------
    volume : ndarray of float32
        (factor · slices, rows, columns), unit of the input.
    spacing : tuple of float
        Of ``volume``, mm.
    factor : int
    intrinsic : ndarray of float32
        SD of the error that the network expects whatever its weights, calibrated; unit of the
        input.
    parameter : ndarray of float32 or None
        SD of the error that the spread over samples with channels left out at random says alone,
        calibrated; None if not asked for.
    uncertainty : ndarray of float32
        SD of the error that is to be expected, both together, calibrated; ``intrinsic`` where no
        samples were asked for.
    model, model_version, weights_sha256 : str
    backend : Backend
    patches : PatchSettings
    samples, seed : int
        Of the parameter uncertainty; 0 samples: it was not asked for.
    calibration : str
        Fingerprint of what made SDs of the variances: weights can be calibrated anew.
    warnings : tuple of str
    seconds : float
    """

    volume: Floats
    spacing: Spacing
    factor: int
    intrinsic: Floats = field(repr=False)
    parameter: Floats | None = field(repr=False)
    uncertainty: Floats = field(repr=False)
    model: str
    model_version: str
    weights_sha256: str
    backend: Backend
    patches: PatchSettings
    samples: int
    seed: int
    calibration: str
    warnings: tuple[str, ...]
    seconds: float

    def record(self) -> dict[str, Any]:
        """Return everything but the pixels and the time, as plain JSON values."""
        return {
            "method": self.model,
            "model": self.model,
            "model_version": self.model_version,
            "weights_sha256": self.weights_sha256,
            "factor": self.factor,
            "spacing": [round(s, 4) for s in self.spacing],
            "patches": {
                "size": self.patches.size,
                "overlap": self.patches.overlap,
                "blend": self.patches.blend,
                # What patches count by where they overlap: other windows made other images.
                "window": WINDOW if self.patches.blend else "none",
            },
            "uncertainty": {
                "dropout_samples": self.samples,
                "seed": self.seed,
                "calibration": self.calibration,
            },
            "backend": str(self.backend),
            "warnings": list(self.warnings),
        }


def enhance(
    volume: ArrayLike,
    spacing: Spacing,
    *,
    model: str = DEFAULT_MODEL,
    factor: int | None = None,
    patches: PatchSettings = PatchSettings(),  # noqa: B008 - frozen and without state
    samples: int = 0,
    seed: int = 0,
    device: Device = "auto",
    precision: Precision = "auto",
    progress: Progress | None = None,
) -> TransferResult:
    """Make thin slices of thick ones.

    Parameters
    ----------
    volume : array_like
        (slices, rows, columns): a T1-weighted magnitude scan of a whole head, any unit.
    spacing : tuple of float
        Slice, row and column spacing, mm.
    model : str
        A shipped network (:func:`transfer_models`).
    factor : int, optional
        Thin slices to each thick one; by default the trained one that makes voxels nearest to
        cubes.
    patches : PatchSettings
        How the volume is cut, and overlaps.
    samples : int
        Runs with channels left out at random, for the parameter uncertainty; 0 for none, else at
        least 2, since one has no spread. Each takes as long as the enhancement itself.
    seed : int
        Of these.
    device, precision : str
        As for :func:`denoise_engine.denoise`.
    progress : callable, optional
        Called with (patches done, patches in all).

    Raises
    ------
    UnusableVolumeError
        NaN, too small, turned, without skull, or spaced as no scan of the training; a number of
        samples that gives no spread.
    ModelError, BackendError
        No such model, wrong hash, no such device.
    MemoryError
        The volume, or a patch, is too large for this machine.
    """
    return enhance_with(
        load_transfer(model),
        volume,
        spacing,
        factor=factor,
        patches=patches,
        samples=samples,
        seed=seed,
        device=device,
        precision=precision,
        progress=progress,
    )


def enhance_with(
    loaded: LoadedTransfer,
    volume: ArrayLike,
    spacing: Spacing,
    *,
    factor: int | None = None,
    patches: PatchSettings = PatchSettings(),  # noqa: B008 - frozen and without state
    samples: int = 0,
    seed: int = 0,
    device: Device = "auto",
    precision: Precision = "auto",
    progress: Progress | None = None,
) -> TransferResult:
    """Do what :func:`enhance` does with a network that is already loaded.

    Parameters
    ----------
    loaded : LoadedTransfer
        Its network is moved to the device, and stays there.
    volume : array_like
        (slices, rows, columns): a T1-weighted magnitude scan of a whole head, any unit.
    spacing : tuple of float
        Slice, row and column spacing, mm.
    factor, patches, samples, seed, device, precision, progress
        As for :func:`enhance`.

    Returns
    -------
    TransferResult
        Volumes of (factor · slices, rows, columns) float32, in the unit of ``volume``.

    Raises
    ------
    UnusableVolumeError
        NaN, too small, turned, without skull, or spaced as no scan of the training; a number of
        samples that gives no spread.
    BackendError
        No such device.
    MemoryError
        The volume, or a patch, is too large for this machine.
    """
    check_samples(samples)
    try:
        return _enhanced(
            loaded, volume, spacing, factor, patches, samples, seed, device, precision, progress
        )
    except RuntimeError as error:
        if not ran_out_of_memory(error):
            raise
        raise MemoryError(str(error)) from error


def check_samples(samples: int) -> None:
    """Refuse a number of samples whose spread would be no measure.

    Parameters
    ----------
    samples : int
        0 for none; of a single one the SD would be 0 everywhere, a certainty that is not there.

    Raises
    ------
    UnusableVolumeError
    """
    if samples != int(samples) or samples < 0 or samples == 1:
        raise UnusableVolumeError(
            f"The parameter uncertainty needs 0 (none) or at least 2 samples, not {samples}: a "
            "single one has no spread."
        )


def telling_samples(loaded: LoadedTransfer) -> int:
    """Return how many runs for the parameter uncertainty are worth their time.

    Parameters
    ----------
    loaded : LoadedTransfer

    Returns
    -------
    int
        8; 0 where the calibration gives their spread no weight beside the intrinsic variance, so
        that the map of both together is the same without them.
    """
    return SAMPLES if calibration_in(loaded.card).factors.parameter > 0 else 0


def _enhanced(
    loaded: LoadedTransfer,
    volume: ArrayLike,
    spacing: Spacing,
    factor: int | None,
    patches: PatchSettings,
    samples: int,
    seed: int,
    device: Device,
    precision: Precision,
    progress: Progress | None,
) -> TransferResult:
    start = time.perf_counter()
    image, warnings = checked_scan(volume, spacing)
    times, more = chosen_factor(spacing, factor, loaded.card)
    refuse_without_skull(image, spacing)
    unlike = contrast_warnings(image, spacing)
    backend = choose_backend(device, precision)
    scale = np.float32(typical_intensity(image))
    thick = image / scale
    network = loaded.network.to(backend.device)
    runs = 1 + samples

    def run(number: int) -> tuple[Floats, Floats]:
        def told(done: int, total: int) -> None:
            if progress is not None:
                progress(number * total + done, runs * total)

        return in_patches(network, thick, times, settings=patches, backend=backend, progress=told)

    correction, variance = run(0)
    cubic = interpolate(thick, times)
    if loaded.error_model is not None:
        variance = loaded.error_model.variance(cubic, correction, variance, times)
    calibration = calibration_in(loaded.card)
    intrinsic = np.sqrt(calibration.intrinsic(variance, times)) * scale
    parameter, uncertainty = None, intrinsic
    if samples:
        spread = _variance_of_samples(network, run, samples, seed)
        parameter = np.sqrt(calibration.parameter(spread, times)) * scale
        uncertainty = np.sqrt(calibration.together(variance, spread, times)) * scale
    enhanced = np.maximum(cubic + correction, 0) * scale
    return TransferResult(
        volume=enhanced,
        spacing=(spacing[0] / times, spacing[1], spacing[2]),
        factor=times,
        intrinsic=intrinsic,
        parameter=parameter,
        uncertainty=uncertainty,
        model=loaded.file.name,
        model_version=loaded.file.version,
        weights_sha256=loaded.file.sha256,
        backend=backend,
        patches=patches,
        samples=samples,
        seed=seed,
        calibration=calibration.fingerprint,
        warnings=(*unlike, *warnings, *more),
        seconds=time.perf_counter() - start,
    )


def _variance_of_samples(network: Any, run: Any, samples: int, seed: int) -> Floats:
    """Variance over runs with channels left out at random (Welford's sums: no run is kept)."""
    mean: NDArray[np.float64] | None = None
    squares: NDArray[np.float64] | None = None
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network.sample_dropout(True)
        try:
            for k in range(samples):
                sample = run(k + 1)[0].astype(np.float64)
                if mean is None or squares is None:
                    mean, squares = sample, np.zeros_like(sample)
                    continue
                step = sample - mean
                mean += step / (k + 1)
                squares += step * (sample - mean)
        finally:
            network.sample_dropout(False)
    assert squares is not None
    return (squares / (samples - 1)).astype(np.float32)
