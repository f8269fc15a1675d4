"""Denoise a volume: check, go to the native grid, find the noise, denoise, set the strength."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from denoise_engine.errors import EngineError
from denoise_engine.methods.filters import Progress, open_filter
from denoise_engine.metrics import body_mask
from denoise_engine.noise.bias import correct_bias
from denoise_engine.noise.checks import checked_volume, magnitude_warnings
from denoise_engine.noise.native_grid import (
    NativeGrid,
    find_native_grid,
    from_native,
    to_native,
)
from denoise_engine.noise_in_use import NoiseChoice, NoiseInUse, settle_noise
from denoise_engine.replicas import ReplicaMoments, measure_replicas
from denoise_engine.result import BiasCorrection, DenoiseResult, Floats
from denoise_engine.runtime import Device, Precision
from denoise_engine.snr import range_warnings
from denoise_engine.strength import Blend, Full, NoiseMoments, Strength, TargetSnrGain


def denoise(
    volume: ArrayLike,
    *,
    noise: NoiseChoice = None,
    strength: Strength = Full(),  # noqa: B008 - frozen and without state
    model: str = "ddlr",
    progress: Progress | None = None,
    device: Device = "auto",
    precision: Precision = "auto",
    native_grid: Literal["auto", "off"] = "auto",
    acquired: tuple[int, int] | None = None,
    bias_coils: int | None = None,
    memory_limit: int | None = None,
    caveats: Sequence[str] = (),
) -> DenoiseResult:
    """Denoise a magnitude volume slice by slice.

    Parameters
    ----------
    volume : array_like
        (slices, rows, columns), magnitude, any unit, any real type.
    noise : float, array_like or "map", optional
        Noise SD in the unit of the volume: one number or a map of the volume's shape. Estimated
        from the image if left out, as a map that varies smoothly if "map". 0 returns the input.
    strength : Full, Blend or TargetSnrGain
        How much of the method's output goes into the result.
    model : str
        Name of a shipped network or of a comparator (:func:`denoise_engine.available_methods`).
    progress : callable, optional
        Called with (slices done, slices in all).
    device : {"auto", "cpu", "cuda"}
        Where to compute.
    precision : {"auto", "float32", "bfloat16"}
        float32 on a CPU is the reference. bfloat16 is faster where there are instructions for it,
        which is when "auto" takes it; input and output stay float32.
    native_grid : {"auto", "off"}
        Whether a volume that the scanner interpolated is taken back to the grid it was acquired on,
        denoised there and interpolated again.
    acquired : tuple of int, optional
        Acquired (rows, columns), where the header tells; else read from empty k-space borders.
    bias_coils : int, optional
        Take the bias of magnitude noise out as a last step: 1 for Rician, the number of channels
        for non-central chi. Left out, the local mean stays as it is. The bias is read from the full
        output, and the same is taken off at every strength, a blend of 0 included.
    memory_limit : int, optional
        Bytes that a network may hold beside the volumes; 512 MiB if left out.
    caveats : sequence of str
        What the caller knows and the result must warn of: that the scanner has denoised the series
        already, say.

    Returns
    -------
    DenoiseResult

    Raises
    ------
    UnusableVolumeError
        Wrong shape or type, NaN or infinite values, no signal.
    UntrustedNoiseError
        The noise level had to be estimated and the estimate cannot be trusted.
    NoiseOutOfRangeError
        The noise level lies far outside the range in the model's card, by a factor above 1.5; by
        less there is a warning.
    StrengthError
        The target gain is beyond the model.
    ModelError, BackendError
        No such model, wrong hash, no such device, too low a memory ceiling.
    """
    return denoise_at_strengths(
        volume,
        [strength],
        noise=noise,
        model=model,
        progress=progress,
        device=device,
        precision=precision,
        native_grid=native_grid,
        acquired=acquired,
        bias_coils=bias_coils,
        memory_limit=memory_limit,
        caveats=caveats,
    )[0]


def denoise_at_strengths(
    volume: ArrayLike,
    strengths: Sequence[Strength],
    *,
    noise: NoiseChoice = None,
    model: str = "ddlr",
    progress: Progress | None = None,
    device: Device = "auto",
    precision: Precision = "auto",
    native_grid: Literal["auto", "off"] = "auto",
    acquired: tuple[int, int] | None = None,
    bias_coils: int | None = None,
    memory_limit: int | None = None,
    caveats: Sequence[str] = (),
) -> list[DenoiseResult]:
    """Denoise once and return the result at several strengths, in their order.

    Parameters, results and errors are those of :func:`denoise`; ``seconds`` is the time of the
    whole call.
    """
    start = time.perf_counter()
    image = checked_volume(volume)
    bias = None if bias_coils is None else BiasCorrection(bias_coils)
    method = open_filter(model, device, precision, memory_limit)
    grid = _grid_of(image, native_grid, acquired)
    working = image if grid.is_native else to_native(image, grid)
    body = body_mask(working)
    # The bias is read from the full output, so with that step even a blend of 0 needs it.
    unchanged = bias is None and all(isinstance(s, Blend) and s.amount == 0 for s in strengths)
    found = settle_noise(
        working, body, noise, image.shape, refuse_untrusted=not unchanged, stored=image
    )
    warnings = [*caveats, *magnitude_warnings(image), *found.warnings]
    moments: ReplicaMoments | None = None
    if unchanged or found.level == 0:
        # The sliding DCT is not the identity to the last bit; no noise means no change.
        full = working
        if progress is not None:
            progress(len(image), len(image))
    else:
        warnings += range_warnings(working, found.map, body, method.snr_range)
        full = method(working, found.map, progress)
        moments = measure_replicas(
            working, full, found.map, body, method, whole_slices=method.needs_whole_slices
        )
    made = _made(image, full, found, grid, bias, moments)
    outcomes = [made.at(strength) for strength in strengths]
    return [
        DenoiseResult(
            volume=outcome.volume,
            sigma=found.level,
            sigma_method=found.method,
            sigma_confidence=found.confidence,
            sigma_reasons=found.reasons,
            sigma_trusted=found.trusted,
            blend=outcome.blend,
            target_gain=strength.gain if isinstance(strength, TargetSnrGain) else None,
            achieved_gain=outcome.gain,
            air_gain=outcome.air_gain,
            method=model,
            model=method.name,
            model_version=method.version,
            weights_sha256=method.sha256,
            backend=method.backend,
            native_grid=grid,
            bias=bias,
            warnings=tuple(warnings),
            working_input=working,
            working_output=full,
            noise_map=found.map,
            seconds=time.perf_counter() - start,
        )
        for outcome, strength in zip(outcomes, strengths, strict=True)
    ]


@dataclass(frozen=True)
class _Outcome:
    """A volume at a strength, its blend, and its gain in the body and in the air."""

    volume: Floats
    blend: float
    gain: float
    air_gain: float | None


@dataclass(frozen=True)
class _Made:
    """What every strength is mixed from, on the grid of the image.

    ``change`` is what the bias correction adds; without moments nothing was denoised.
    """

    image: Floats
    full: Floats
    change: Floats | None
    moments: ReplicaMoments | None

    def at(self, strength: Strength) -> _Outcome:
        """Mix input and output, and take the bias out if that was asked for."""
        if self.moments is None:
            return _Outcome(self.image.copy(), 0.0, 1.0, 1.0)
        blend = _blend_for(strength, self.moments.choose)
        volume = _mixed(self.image, self.full, blend)
        if self.change is not None:
            volume = np.maximum(volume + self.change, np.float32(0))
        air = self.moments.air
        gain = self.moments.check.gain(blend)
        return _Outcome(volume, blend, gain, None if air is None else air.gain(blend))


def _made(
    image: Floats,
    full: Floats,
    noise: NoiseInUse,
    grid: NativeGrid,
    bias: BiasCorrection | None,
    moments: ReplicaMoments | None,
) -> _Made:
    if moments is None:
        return _Made(image, image, None, None)
    shown = full if grid.is_native else from_native(full, grid)
    if bias is None:
        return _Made(image, shown, None, moments)
    # The formula holds for the local mean, which the full output is and a mixture that still holds
    # noise is not: the same is taken off at every strength. And it is known where it was measured;
    # on an interpolated grid neighbours are mixed.
    corrected = correct_bias(full, noise.map, bias.coils)
    if not grid.is_native:
        corrected = from_native(corrected, grid)
    return _Made(image, shown, corrected - shown, moments)


def _mixed(image: Floats, full: Floats, blend: float) -> Floats:
    if blend in (0.0, 1.0):
        return (full if blend else image).copy()
    return image + np.float32(blend) * (full - image)


def _blend_for(strength: Strength, moments: NoiseMoments) -> float:
    if isinstance(strength, Blend):
        return strength.amount
    if isinstance(strength, TargetSnrGain):
        return moments.blend_for(strength.gain)
    return 1.0


def _grid_of(image: Floats, wanted: str, acquired: tuple[int, int] | None) -> NativeGrid:
    if wanted == "auto":
        return find_native_grid(image, acquired)
    if wanted != "off":
        raise EngineError(f"The native grid is looked for (auto) or not (off), not “{wanted}”.")
    _, rows, columns = image.shape
    return NativeGrid(rows, columns, rows, columns, "native")
