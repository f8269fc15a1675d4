"""What painted lesions are put through: each network of the engine on the scan that it is made for.

Thin slices with noise for the denoisers, k-space at R = 4 for the unrolled network, thick slices
for the U-nets, the simulated 3 T for the 7 T-like generators. What each of these scans shows
without any learning (the scan itself, SENSE, interpolation) goes first: it is the baseline. The
head itself, thin slices without noise, tells what could be reached at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.transfer_site.cases import SEED
from denoise_engine.denoiser import denoise
from denoise_engine.models import find_model
from denoise_engine.reconstruction import reconstruct
from denoise_engine.reconstruction.models import load_unrolled
from denoise_engine.simulation.coils import smooth_coils
from denoise_engine.simulation.sampling import uniform_mask
from denoise_engine.transfer.enhance import enhance_with
from denoise_engine.transfer.forward import THICK, THREE_TESLA, Degradation, degrade
from denoise_engine.transfer.grids import interpolate
from denoise_engine.transfer.heads import Head
from denoise_engine.transfer.models import LoadedTransfer

Floats = NDArray[np.float32]
Step = Callable[[Any], Any]

ITSELF, SCAN = "the head itself", "the scan itself"
_SNR_THIN, _SNR_RAW, _COILS, _REDUCTION, _CENTRE = 20.0, 40.0, 12, 4, 24


@dataclass(frozen=True)
class Through:
    """A method and the scan it is made for.

    ``version``, ``sha256`` and ``card`` are None without weights; ``baseline`` is the row, method
    and scan, that it stands beside.
    """

    method: str
    scan: str
    degrade: Step
    enhance: Step
    baseline: tuple[str, str] | None = None
    version: str | None = None
    sha256: str | None = None
    card: Path | None = None

    @property
    def row(self) -> tuple[str, str]:
        return self.method, self.scan


def lesion_methods(head: Head, networks: dict[str, LoadedTransfer]) -> list[Through]:
    """Return every method, in the order of the table, baselines before what they stand beside."""
    methods = [Through(ITSELF, "thin slices without noise", _as_it_is, _as_it_is)]
    methods += _denoised(head)
    methods += _reconstructed(head)
    for factor, how in sorted(THICK.items()):
        cubic = Through(
            "cubic",
            f"thick slices, × {factor}",
            _degrading(head, how),
            lambda thick, factor=factor: interpolate(thick, factor),
        )
        methods += [cubic, *_by_networks(head, networks, how, cubic)]
    how = THREE_TESLA[1]
    scan = Through(SCAN, "as at 3 T", _degrading(head, how), _as_it_is)
    return [*methods, scan, *_by_networks(head, networks, how, scan)]


def _as_it_is(image: Floats) -> Floats:
    return image


def _by_networks(
    head: Head, networks: dict[str, LoadedTransfer], how: Degradation, baseline: Through
) -> list[Through]:
    z, y, x = head.spacing
    # How sure a network is of its image is not asked here.
    image_only = {name: replace(one, error_model=None) for name, one in networks.items()}
    return [
        Through(
            name,
            baseline.scan,
            baseline.degrade,
            lambda thick, network=network: (
                enhance_with(network, thick, (z * how.factor, y, x), factor=how.factor).volume
            ),
            baseline.row,
            network.file.version,
            network.file.sha256,
            network.file.path.with_suffix(".md"),
        )
        for name, network in image_only.items()
        if how.factor in network.card["architecture"]["factors"]
    ]


def _degrading(head: Head, how: Degradation) -> Step:
    return lambda volume: degrade(volume, how, head.tissues, np.random.default_rng(SEED))


def _denoised(head: Head) -> list[Through]:
    sigma = float(head.tissues.mean / _SNR_THIN)
    degrading = _degrading(head, Degradation(snr=_SNR_THIN))
    scan = Through(SCAN, f"thin slices, SNR {_SNR_THIN:g}", degrading, _as_it_is)
    found = [scan]
    # ddlr-cs was trained for compressed sensing; noise alone is what it shares with ddlr.
    for model in ("ddlr", "ddlr-cs"):
        file = find_model(model)
        found.append(
            Through(
                model,
                f"{scan.scan}, full strength",
                degrading,
                lambda image, model=model: (
                    denoise(image, noise=sigma, native_grid="off", model=model).volume
                ),
                scan.row,
                file.version,
                file.sha256,
                file.path.with_suffix(".md"),
            )
        )
    return found


def _reconstructed(head: Head) -> list[Through]:
    """k-space of a good head array, every fourth line and a full centre; slice by slice."""
    _, rows, columns = head.volume.shape
    sigma = np.float32(head.tissues.mean / _SNR_RAW)
    rng = np.random.default_rng(SEED)
    coils = smooth_coils(rows, columns, count=_COILS, rng=rng, widths=(0.45, 0.65))
    mask = uniform_mask((rows,), (_REDUCTION,), calibration=_CENTRE)

    def noise(drawn: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.complex64]:
        real, imaginary = drawn.standard_normal((2, *shape), dtype=np.float32)
        return np.asarray(sigma * (real + 1j * imaginary), dtype=np.complex64)

    def acquired(volume: Floats) -> NDArray[np.complex64]:
        drawn = np.random.default_rng(SEED)
        kspace = np.empty((len(volume), _COILS, rows, columns), dtype=np.complex64)
        for k, image in enumerate(volume):
            shifted = np.fft.ifftshift(coils * image, axes=(-2, -1))
            full = np.fft.fftshift(np.fft.fft2(shifted, norm="ortho"), axes=(-2, -1))
            kspace[k] = (full + noise(drawn, full.shape)) * mask[:, None]
        return kspace

    scan_of_noise = noise(np.random.default_rng(SEED + 1), (_COILS, 4096))

    def reconstructed(
        kspace: NDArray[np.complex64], method: Literal["sense", "unrolled"]
    ) -> Floats:
        found = reconstruct(kspace, mask, method=method, noise=scan_of_noise, replicas=0)
        return np.asarray(sigma * found.magnitude(), dtype=np.float32)

    scan = f"k-space, R = {_REDUCTION} and a centre of {_CENTRE}, SNR {_SNR_RAW:g}"
    file = load_unrolled().file
    sense = Through("sense", scan, acquired, lambda kspace: reconstructed(kspace, "sense"))
    return [
        sense,
        Through(
            "unrolled",
            scan,
            acquired,
            lambda kspace: reconstructed(kspace, "unrolled"),
            sense.row,
            file.version,
            file.sha256,
            file.path.with_suffix(".md"),
        ),
    ]
