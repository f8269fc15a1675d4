"""``reconstruct``: from multi-coil k-space to images, by each of the methods."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from denoise_engine.errors import ReconstructionError
from denoise_engine.reconstruction import channels, checks
from denoise_engine.reconstruction.calibration import ONE_BLOCK, SamplingPattern
from denoise_engine.reconstruction.operators import CartesianEncoding, axes_of, from_centred
from denoise_engine.reconstruction.result import Floats, ReconstructionResult
from denoise_engine.reconstruction.sense import weight_of
from denoise_engine.reconstruction.sensitivities import espirit, walsh
from denoise_engine.reconstruction.solving import Images, Scan, solver_of

ReconstructionMethod = Literal["unrolled", "sense", "cs", "zero-filled"]
RECONSTRUCTION_METHODS: tuple[str, ...] = get_args(ReconstructionMethod)
Maps = Literal["espirit", "walsh"] | ArrayLike

BOUND = 5.0
PENALTY = 0.3
# What the network was trained on.
HIGHEST_TRAINED_REDUCTION = 6
Progress = Callable[[int, int], None]


def reconstruct(
    kspace: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    method: ReconstructionMethod = "unrolled",
    bound: float = BOUND,
    penalty: float = PENALTY,
    noise: ArrayLike | None = None,
    calibration: ArrayLike | None = None,
    sensitivities: Literal["espirit", "walsh"] | ArrayLike = "espirit",
    virtual_coils: int | None = None,
    memory_limit: int | None = None,
    model: str | None = None,
    replicas: int | None = None,
    progress: Progress | None = None,
) -> ReconstructionResult:
    """Reconstruct Cartesian multi-coil k-space.

    Parameters
    ----------
    kspace : array_like
        (slices, coils, rows, columns) or (coils, rows, columns), complex; rows are phase encodings,
        columns the readout or a second phase encoding; zero frequency at n // 2; zeros where not
        sampled.
    mask : array_like of bool, optional
        (rows,) or (rows, columns), what was sampled; read off the zeros if left out.
    method : {"unrolled", "sense", "cs", "zero-filled"}
        The unrolled network; regularised SENSE toward 0; compressed sensing (wavelet LASSO); the
        matched combination of the coils' images without filling anything in.
    bound : float
        λ of "sense": the noise of the data is amplified at most so much.
    penalty : float
        Weight of the wavelet term of "cs", in units of the noise SD.
    noise : array_like, optional
        (coils, samples) complex, a scan of noise alone at the bandwidth of the data. Without it the
        noise is estimated from the outermost k-space.
    calibration : array_like, optional
        A separate fully sampled calibration scan, (slices, coils, rows, columns), zero frequency at
        n // 2; without it the centre of k-space is taken.
    sensitivities : {"espirit", "walsh"} or array_like
        How the sensitivities are found, or the sensitivities.
    virtual_coils : int, optional
        Compress the coils to so many; all by default, up to 16.
    memory_limit : int, optional
        Bytes that a slice may take; 2 GiB by default. More coils than fit are compressed.
    model : str, optional
        Which unrolled network.
    replicas : int, optional
        Number of pseudo-replicas where the noise has no formula; 0: no noise map there.
    progress : callable, optional
        Called with (slices done, slices in all).

    Returns
    -------
    ReconstructionResult

    Raises
    ------
    ReconstructionError
        If the data or a setting cannot be used; nothing has been computed then.
    ModelError
        If there is no such network, or its weights are not those that were validated.
    """
    start = time.monotonic()
    _check_settings(method, bound, penalty, replicas)
    raw = _read(kspace, mask, noise, calibration, sensitivities)
    virtual, warning = checks.virtual_coils_that_fit(
        raw.coils, raw.matrix, wanted=virtual_coils, memory_limit=memory_limit
    )
    solve = solver_of(method, bound=bound, penalty=penalty, model=model, replicas=replicas)
    done: list[Images] = []
    with torch.no_grad():
        front = _front_end(raw, virtual)
        for k in range(raw.slices):
            done.append(solve(_whitened(raw, front, k)))
            if progress is not None:
                progress(k + 1, raw.slices)
    details: dict[str, Any] = {
        "method": method,
        "sampling": raw.pattern.kind,
        "acceleration": round(raw.pattern.acceleration, 3),
        "calibration": raw.calibration_in_words,
        "sensitivities": raw.maps_by or "given",
        "noise": front.noise_found,
        "coils": raw.coils,
        "virtual_coils": virtual,
        "energy_kept": round(front.energy_kept, 5),
        **_together([images.details for images in done]),
        "versions": {"torch": torch.__version__},
        "backend": "cpu, complex64",
        "warnings": [*([warning] if warning else []), *_warnings(method, raw)],
    }
    return ReconstructionResult(
        image=torch.cat([images.image for images in done]).numpy(),
        noise_map=_stacked([images.noise for images in done]),
        g_factor=_stacked([images.g_factor for images in done]),
        seconds=time.monotonic() - start,
        details=details,
    )


@dataclass(frozen=True)
class _Raw:
    """Data that passed all checks."""

    kspace: Tensor
    pattern: SamplingPattern
    noise: Tensor | None
    calibration: Tensor | None
    maps: Tensor | None
    maps_by: str | None

    @property
    def slices(self) -> int:
        return int(self.kspace.shape[0])

    @property
    def coils(self) -> int:
        return int(self.kspace.shape[1])

    @property
    def matrix(self) -> tuple[int, int]:
        return int(self.kspace.shape[2]), int(self.kspace.shape[3])

    @property
    def region(self) -> Tensor:
        """What sensitivities and virtual coils are found in."""
        if self.calibration is not None:
            return self.calibration
        if self.pattern.calibration is None:
            return self.kspace
        rows, columns = self.pattern.calibration
        return self.kspace[:, :, rows, columns]

    @property
    def calibration_in_words(self) -> str:
        size = f"{self.region.shape[-2]} × {self.region.shape[-1]}"
        if self.calibration is not None:
            return f"separate scan, {size}"
        return "none" if self.pattern.calibration is None else f"centre of k-space, {size}"


@dataclass(frozen=True)
class _FrontEnd:
    """What is done to the channels: (virtual, coils), whitening and compression in one."""

    mixing: Tensor
    energy_kept: float
    noise_found: str


def _check_settings(method: str, bound: float, penalty: float, replicas: int | None) -> None:
    if method not in RECONSTRUCTION_METHODS:
        raise ReconstructionError(
            f"There is no method “{method}”; choose one of {', '.join(RECONSTRUCTION_METHODS)}."
        )
    for name, value in (("bound λ", bound), ("wavelet penalty", penalty)):
        if not isinstance(value, Real):
            raise ReconstructionError(f"The {name} must be a number, not {value!r}.")
    weight_of(bound)
    if not (np.isfinite(penalty) and penalty >= 0):
        raise ReconstructionError(f"The wavelet penalty must be 0 or more, not {penalty}.")
    if replicas is not None and not (isinstance(replicas, Integral) and replicas >= 0):
        raise ReconstructionError("The number of replicas is a whole number, 0 or more.")


def _read(
    kspace: ArrayLike,
    mask: ArrayLike | None,
    noise: ArrayLike | None,
    calibration: ArrayLike | None,
    sensitivities: Maps,
) -> _Raw:
    data = checks.checked_kspace(kspace)
    by = sensitivities if isinstance(sensitivities, str) else None
    if by is not None and by not in ("espirit", "walsh"):
        raise ReconstructionError(
            f"Sensitivities are found by espirit or walsh, or given; “{by}” is neither."
        )
    maps = None if by is not None else checks.checked_sensitivities(sensitivities, data)
    separate = None if calibration is None else checks.checked_calibration(calibration, data)
    found = maps is not None or separate is not None
    pattern = checks.checked_pattern(data, mask, has_calibration=found)
    scan = None if noise is None else checks.checked_noise(noise, int(data.shape[1]))
    return _Raw(data, pattern, scan, separate, maps, by)


def _front_end(raw: _Raw, virtual: int) -> _FrontEnd:
    mask = raw.pattern.mask
    everywhere = mask if mask.ndim == 2 else mask[:, None].expand(raw.matrix)
    covariance = (
        channels.covariance_of_outer_kspace(raw.kspace, everywhere)
        if raw.noise is None
        else channels.covariance_of_noise_scan(raw.noise)
    )
    mixing = channels.whitening_matrix(covariance)
    if virtual == raw.coils:
        return _FrontEnd(mixing, 1.0, covariance.found)
    compression, kept = channels.compression_matrix(channels.mix(mixing, raw.region), virtual)
    return _FrontEnd(compression @ mixing, kept, covariance.found)


def _whitened(raw: _Raw, front: _FrontEnd, k: int) -> Scan:
    one = slice(k, k + 1)
    if raw.maps is not None:
        maps = channels.mix(front.mixing, raw.maps[one])
        maps = maps / maps.abs().square().sum(dim=1, keepdim=True).sqrt().clamp_min(1e-12)
    else:
        estimate = walsh if raw.maps_by == "walsh" else espirit
        maps = estimate(channels.mix(front.mixing, raw.region[one]), raw.matrix)
        if not bool(maps.any()):
            raise ReconstructionError(
                f"No coil sensitivities were found in slice {k + 1}: its calibration centre shows "
                "nothing but noise."
            )
    encoding = CartesianEncoding(maps, raw.pattern.mask)
    mixed = channels.mix(front.mixing, raw.kspace[one])
    samples = encoding.sampled(from_centred(mixed, axes_of(raw.pattern.mask)))
    return Scan(samples, encoding, raw.pattern)


def _stacked(maps: list[Tensor | None]) -> Floats | None:
    there = [one for one in maps if one is not None]
    return torch.cat(there).float().numpy() if len(there) == len(maps) else None


def _together(details: list[dict[str, Any]]) -> dict[str, Any]:
    """The details of the first slice; the steps of all."""
    first = dict(details[0])
    if "solver_steps" in first:
        first["solver_steps"] = [steps for each in details for steps in each["solver_steps"]]
    return first


def _warnings(method: str, raw: _Raw) -> list[str]:
    said = []
    pattern = raw.pattern
    if raw.noise is None:
        said.append(
            "No noise scan: the noise was estimated from the outermost k-space, where signal makes "
            "it read too high."
        )
    if method == "unrolled" and pattern.kind == "full":
        said.append(
            "Nothing was left out of this scan: there is nothing for the network to fill in, and "
            "it was not validated on full scans. SENSE combines the coils without it."
        )
    if method == "cs" and pattern.kind == "full":
        said.append(
            "Nothing was left out of this scan: compressed sensing can only smooth it. SENSE "
            "combines the coils without that."
        )
    if method == "unrolled" and pattern.reduction is None:
        said.append("The network was trained on uniform sampling, and this sampling is not.")
    if method == "zero-filled" and pattern.kind not in ("full", ONE_BLOCK):
        said.append("What was not sampled was left at zero: the image is folded or smeared.")
    if method == "zero-filled" and pattern.kind == ONE_BLOCK:
        said.append(
            "The lines that were not sampled (partial Fourier or a lower resolution) were left at "
            "zero: detail is blurred along the phase encoding."
        )
    reduction = pattern.reduction or 1
    if method == "unrolled" and reduction > HIGHEST_TRAINED_REDUCTION:
        said.append(
            f"The network was trained up to a reduction of {HIGHEST_TRAINED_REDUCTION}; this scan "
            f"has {reduction}."
        )
    if method == "cs" and reduction > 1:
        said.append("Compressed sensing counts on random sampling, and this sampling is uniform.")
    return said
