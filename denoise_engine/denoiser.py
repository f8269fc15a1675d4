"""Denoise a volume: check, find the noise level, run the network, set the strength, record."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from denoise_engine.errors import NoiseOutOfRangeError, UntrustedNoiseError, UnusableVolumeError
from denoise_engine.metrics import body_mask
from denoise_engine.models import LoadedModel, find_model, load_model
from denoise_engine.noise import Confidence, checked_volume, estimate_noise
from denoise_engine.replicas import ReplicaMoments, measure_replicas
from denoise_engine.runtime import Backend, Device, Precision, choose_backend
from denoise_engine.strength import Blend, Full, Strength, TargetSnrGain

Floats = NDArray[np.float32]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class DenoiseResult:
    """A denoised volume and all that is needed to say how it came about.

    Attributes
    ----------
    volume : ndarray of float32
        (slices, rows, columns), unit of the input.
    sigma : float
        Noise SD that was acted on, unit of the input; the median of a map.
    sigma_method, sigma_confidence, sigma_reasons
        How it was found, how far it can be trusted, and why no further.
    blend : float
        Share of the network's output in the result.
    target_gain : float or None
        The gain asked for, if one was.
    achieved_gain : float
        SD of the noise before over after, inside the body, from replicas that the blend was not
        chosen on.
    air_gain : float or None
        The same in the air; None without air.
    model, model_version, weights_sha256 : str
    backend : Backend
    seconds : float
        Wall time.
    """

    volume: Floats
    sigma: float
    sigma_method: str
    sigma_confidence: Confidence
    sigma_reasons: tuple[str, ...]
    blend: float
    target_gain: float | None
    achieved_gain: float
    air_gain: float | None
    model: str
    model_version: str
    weights_sha256: str
    backend: Backend
    seconds: float

    def record(self) -> dict[str, Any]:
        """Return everything but the pixels and the time, as plain JSON values."""
        return {
            "model": self.model,
            "model_version": self.model_version,
            "weights_sha256": self.weights_sha256,
            "sigma": self.sigma,
            "sigma_method": self.sigma_method,
            "sigma_confidence": self.sigma_confidence,
            "sigma_reasons": list(self.sigma_reasons),
            "blend": self.blend,
            "target_gain": self.target_gain,
            "achieved_gain": self.achieved_gain,
            "air_gain": self.air_gain,
            "backend": str(self.backend),
        }


@dataclass(frozen=True)
class _Noise:
    """The noise map to act on and where it comes from."""

    map: Floats
    level: float
    method: str
    confidence: Confidence
    reasons: tuple[str, ...]


def denoise(
    volume: ArrayLike,
    *,
    noise: float | ArrayLike | None = None,
    strength: Strength = Full(),  # noqa: B008 - frozen and without state
    model: str = "ddlr",
    progress: Progress | None = None,
    device: Device = "auto",
    precision: Precision = "float32",
) -> DenoiseResult:
    """Denoise a magnitude volume slice by slice.

    Parameters
    ----------
    volume : array_like
        (slices, rows, columns), magnitude, any unit, any real type.
    noise : float or array_like, optional
        Noise SD in the unit of the volume: one number or a map of the volume's shape. Estimated
        from the image if left out. 0 returns the input.
    strength : Full, Blend or TargetSnrGain
        How much of the network's output goes into the result.
    model : str
        Name of a shipped model.
    progress : callable, optional
        Called with (slices done, slices in all).
    device : {"auto", "cpu", "cuda"}
        Where to compute.
    precision : {"float32", "bfloat16"}
        float32 is the reference. bfloat16 is faster on processors that have it; input and output
        stay float32.

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
        The noise level lies outside the range in the model's card.
    StrengthError
        The target gain is beyond the model.
    ModelError, BackendError
        No such model, wrong hash, no such device.
    """
    return denoise_at_strengths(
        volume,
        [strength],
        noise=noise,
        model=model,
        progress=progress,
        device=device,
        precision=precision,
    )[0]


def denoise_at_strengths(
    volume: ArrayLike,
    strengths: Sequence[Strength],
    *,
    noise: float | ArrayLike | None = None,
    model: str = "ddlr",
    progress: Progress | None = None,
    device: Device = "auto",
    precision: Precision = "float32",
) -> list[DenoiseResult]:
    """Denoise once and return the result at several strengths, in their order.

    Parameters, results and errors are those of :func:`denoise`; ``seconds`` is the time of the
    whole call.
    """
    start = time.perf_counter()
    image = checked_volume(volume)
    backend = choose_backend(device, precision)
    loaded = load_model(find_model(model))
    found = _settle_noise(image, noise)
    made: list[tuple[Floats, float, float, float | None]]
    if found.level == 0 or all(isinstance(s, Blend) and s.amount == 0 for s in strengths):
        # The sliding DCT is not the identity to the last bit; no noise means no change.
        if progress is not None:
            progress(len(image), len(image))
        made = [(image.copy(), 0.0, 1.0, 1.0) for _ in strengths]
    else:
        body = body_mask(image)
        _check_range(image, body, found.level, loaded.card)
        runner = _Runner(loaded, backend)
        full = np.empty_like(image)
        for k in range(len(image)):
            full[k] = runner.tiles(image[k : k + 1], found.map[k : k + 1])[0]
            if progress is not None:
                progress(k + 1, len(image))
        moments = measure_replicas(full, found.map, body, runner.tiles)
        made = [_at_strength(image, full, moments, s) for s in strengths]
    return [
        DenoiseResult(
            volume=output,
            sigma=found.level,
            sigma_method=found.method,
            sigma_confidence=found.confidence,
            sigma_reasons=found.reasons,
            blend=blend,
            target_gain=strength.gain if isinstance(strength, TargetSnrGain) else None,
            achieved_gain=achieved,
            air_gain=air,
            model=loaded.file.name,
            model_version=loaded.file.version,
            weights_sha256=loaded.file.sha256,
            backend=backend,
            seconds=time.perf_counter() - start,
        )
        for (output, blend, achieved, air), strength in zip(made, strengths, strict=True)
    ]


def _at_strength(
    image: Floats, full: Floats, moments: ReplicaMoments, strength: Strength
) -> tuple[Floats, float, float, float | None]:
    """Return the image at a strength, its blend, and its gain in the body and in the air."""
    blend = _blend_for(strength, moments)
    achieved = moments.check.gain(blend)
    air = None if moments.air is None else moments.air.gain(blend)
    if blend in (0.0, 1.0):
        return (full if blend else image).copy(), blend, achieved, air
    return image + np.float32(blend) * (full - image), blend, achieved, air


class _Runner:
    """The network on its backend, fed with numpy stacks."""

    def __init__(self, loaded: LoadedModel, backend: Backend) -> None:
        self._backend = backend
        self._network = loaded.network.to(backend.device)
        if backend.dtype == "bfloat16":
            self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def tiles(self, images: Floats, sigma: Floats) -> Floats:
        """(n, rows, columns) images and noise maps → denoised images."""
        device = self._backend.device
        image = torch.from_numpy(np.ascontiguousarray(images))[:, None].to(device)
        level = torch.from_numpy(np.ascontiguousarray(sigma))[:, None].to(device)
        if float(level.min()) == float(level.max()):
            level = level[:1, :, :1, :1]
        dtype = torch.bfloat16 if self._backend.dtype == "bfloat16" else torch.float32
        with torch.inference_mode():
            out = self._network(image, level, dtype=dtype)
        return np.asarray(out[:, 0].cpu().numpy(), dtype=np.float32)


def _settle_noise(image: Floats, noise: float | ArrayLike | None) -> _Noise:
    if noise is None:
        estimate = estimate_noise(image)
        if estimate.confidence == "low":
            raise UntrustedNoiseError(
                "The noise level read from this image cannot be trusted. "
                + " ".join(estimate.reasons)
                + " Give the noise level yourself, or process the image as it left the scanner."
            )
        level = np.full(image.shape, estimate.sigma, dtype=np.float32)
        return _Noise(level, estimate.sigma, estimate.method, estimate.confidence, estimate.reasons)
    given = np.asarray(noise, dtype=np.float32)
    if not np.isfinite(given).all() or (given < 0).any():
        raise UnusableVolumeError("The noise level must be finite and not below 0.")
    if given.ndim not in (0, 3) or (given.ndim == 3 and given.shape != image.shape):
        raise UnusableVolumeError(
            f"The noise level must be one number or a map of the volume's shape {image.shape}; "
            f"this one is {given.shape}."
        )
    method = "given" if given.ndim == 0 else "given as a map"
    level = np.ascontiguousarray(np.broadcast_to(given, image.shape))
    return _Noise(level, float(np.median(given)), method, "high", ())


def _check_range(
    image: Floats, body: NDArray[np.bool_], level: float, card: dict[str, Any]
) -> None:
    lowest, highest = card["snr_range"]
    snr = float(image[body].mean()) / level
    if not lowest <= snr <= highest:
        raise NoiseOutOfRangeError(
            f"The mean body signal is {snr:.1f} times the noise; this model was trained for "
            f"{lowest:g} to {highest:g} times and is not valid outside."
        )


def _blend_for(strength: Strength, moments: ReplicaMoments) -> float:
    if isinstance(strength, Blend):
        return strength.amount
    if isinstance(strength, TargetSnrGain):
        return moments.choose.blend_for(strength.gain)
    return 1.0
