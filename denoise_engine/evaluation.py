"""Does a denoiser help? Against the source of the demo's arms, or on an image with noise added."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from denoise_engine.denoiser import denoise, denoise_at_strengths
from denoise_engine.errors import UnusableVolumeError
from denoise_engine.metrics import body_mask, psnr, ssim
from denoise_engine.noise.checks import checked_volume
from denoise_engine.result import DenoiseResult
from denoise_engine.runtime import Precision
from denoise_engine.simulation import ProtocolName, simulate_acquisition
from denoise_engine.strength import Full, TargetSnrGain

# The least that full strength must add in PSNR inside the body, in dB.
REQUIRED_GAIN_DB: dict[ProtocolName, float] = {"double-fast": 2.0, "triple-fast": 0.5}
Report = Callable[[str], None]


@dataclass(frozen=True)
class Volunteer:
    """One source image and how its scans are simulated."""

    code: str
    volume: NDArray[Any]
    snr: float
    seed: int


@dataclass(frozen=True)
class ArmFigures:
    """One accelerated arm of one volunteer, before and after denoising.

    PSNR in dB and SSIM inside the body, against the source; gains as factors of SNR.
    """

    volunteer: str
    protocol: ProtocolName
    noisy_psnr: float
    denoised_psnr: float
    noisy_ssim: float
    denoised_ssim: float
    full: DenoiseResult
    at_target: DenoiseResult

    @property
    def improvement(self) -> float:
        return self.denoised_psnr - self.noisy_psnr

    @property
    def holds(self) -> bool:
        return self.improvement >= REQUIRED_GAIN_DB[self.protocol]


def read_volunteers(folder: Path) -> list[Volunteer]:
    """Read the source images ``*.npz`` of a folder: volume, snr of the standard arm, seed.

    Raises
    ------
    UnusableVolumeError
        If there is none, or one cannot be read.
    """
    found = []
    for path in sorted(folder.glob("*.npz")):
        try:
            with np.load(path, allow_pickle=False) as stored:
                found.append(
                    Volunteer(
                        path.stem, stored["volume"], float(stored["snr"]), int(stored["seed"])
                    )
                )
        except (OSError, ValueError, KeyError) as error:
            raise UnusableVolumeError(f"“{path.name}” cannot be read: {error}.") from error
    if not found:
        raise UnusableVolumeError(f"“{folder}” holds no source images (*.npz).")
    return found


def evaluate_volunteer(
    volunteer: Volunteer, *, gain: float, precision: Precision = "auto", model: str = "ddlr"
) -> Iterator[ArmFigures]:
    """Simulate both accelerated arms, denoise them blindly, and compare with the source."""
    body = body_mask(volunteer.volume)
    for protocol in REQUIRED_GAIN_DB:
        scan = simulate_acquisition(
            volunteer.volume, protocol=protocol, snr=volunteer.snr, seed=volunteer.seed
        ).volume
        full, at_target = denoise_at_strengths(
            scan, [Full(), TargetSnrGain(gain)], precision=precision, model=model
        )
        yield ArmFigures(
            volunteer=volunteer.code,
            protocol=protocol,
            noisy_psnr=psnr(scan, volunteer.volume, body),
            denoised_psnr=psnr(full.volume, volunteer.volume, body),
            noisy_ssim=ssim(scan, volunteer.volume, body),
            denoised_ssim=ssim(full.volume, volunteer.volume, body),
            full=full,
            at_target=at_target,
        )


def evaluate_folder(
    folder: Path, *, gain: float, precision: Precision, report: Report, model: str = "ddlr"
) -> list[ArmFigures]:
    """Evaluate every volunteer of a folder, reporting a line an arm as it goes.

    ``report`` gets plain text lines.
    """
    report(
        f"PSNR (dB) and SSIM inside the body, against the source image; {model} at full strength. "
        f"Then at target gain {gain:g}: blend and achieved SNR gain (body, air)."
    )
    report(
        f"{'':6} {'arm':12} {'PSNR in':>8} {'DLR':>7} {'gain':>6} {'SSIM in':>8} {'DLR':>6}"
        f" {'sigma':>7} {'trust':>6} {'full x':>7} | {'blend':>6} {'body x':>7} {'air x':>6}"
    )
    figures = []
    for volunteer in read_volunteers(folder):
        for f in evaluate_volunteer(volunteer, gain=gain, precision=precision, model=model):
            air = "–" if f.at_target.air_gain is None else f"{f.at_target.air_gain:.2f}"
            report(
                f"{f.volunteer:6} {f.protocol:12} {f.noisy_psnr:8.2f} {f.denoised_psnr:7.2f}"
                f" {f.improvement:+6.2f} {f.noisy_ssim:8.3f} {f.denoised_ssim:6.3f}"
                f" {f.full.sigma:7.2f} {f.full.sigma_confidence:>6} {f.full.achieved_gain:7.2f} |"
                f" {f.at_target.blend:6.2f} {f.at_target.achieved_gain:7.2f} {air:>6}"
            )
            figures.append(f)
    return figures


def verdict(figures: list[ArmFigures]) -> tuple[bool, str]:
    """Say whether every arm reaches its bound, naming those that do not."""
    bounds = ", ".join(f"{p} {db:g} dB" for p, db in REQUIRED_GAIN_DB.items())
    missed = [f for f in figures if not f.holds]
    if missed:
        names = "; ".join(f"{f.volunteer} {f.protocol} {f.improvement:+.2f} dB" for f in missed)
        return False, f"FAILED: below the bounds ({bounds}): {names}"
    people = len({f.volunteer for f in figures})
    return True, f"PASSED: every arm of {people} volunteers reaches its bound ({bounds})"


def evaluate_with_added_noise(
    volume: NDArray[Any],
    *,
    methods: Sequence[str],
    snrs: Sequence[float],
    slices: int,
    precision: Precision,
    report: Report,
    seed: int = 20240611,
) -> None:
    """Add Rician noise to an image, denoise it at full strength, and compare with the image.

    Parameters
    ----------
    volume : ndarray
        (slices, rows, columns), as free of noise as can be had: noise in it counts as signal.
    methods : sequence of str
        Each is given the true noise level.
    snrs : sequence of float
        Mean signal of the body over the noise SD that is added.
    slices : int
        How many slices, evenly spaced, are looked at.
    report : callable
        Gets plain text lines.
    """
    image = checked_volume(volume)
    chosen = np.unique(np.linspace(0, len(image) - 1, min(slices, len(image))).round().astype(int))
    clean = image[chosen]
    body = body_mask(clean)
    report(f"PSNR (dB) and SSIM inside the body of {len(clean)} slices with Rician noise added.")
    report(f"{'SNR':>5} {'method':10} {'PSNR':>7} {'SSIM':>6} {'s/slice':>8}")
    rng = np.random.default_rng(seed)
    for snr in snrs:
        sigma = float(clean[body].mean()) / snr
        real, imaginary = sigma * rng.standard_normal((2, *clean.shape))
        noisy = np.hypot(clean + real, imaginary).astype(np.float32)
        report(
            f"{snr:5g} {'input':10} {psnr(noisy, clean, body):7.2f} {ssim(noisy, clean, body):6.3f}"
        )
        for name in methods:
            start = time.perf_counter()
            out = denoise(noisy, noise=sigma, model=name, precision=precision, native_grid="off")
            seconds = (time.perf_counter() - start) / len(clean)
            report(
                f"{snr:5g} {name:10} {psnr(out.volume, clean, body):7.2f}"
                f" {ssim(out.volume, clean, body):6.3f} {seconds:8.2f}"
            )
