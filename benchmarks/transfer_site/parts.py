"""Warning maps, seams and lesions of ``benchmarks/transfer.py``."""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.transfer_site.cases import CUBIC, SEED, Case, Enhanced
from denoise_engine.denoiser import denoise
from denoise_engine.runtime import choose_backend
from denoise_engine.transfer.calibration import flagging, reliability
from denoise_engine.transfer.enhance import enhance_with
from denoise_engine.transfer.evaluation import simulate
from denoise_engine.transfer.forward import THICK, degrade
from denoise_engine.transfer.grids import interpolate
from denoise_engine.transfer.heads import load_heads, typical_intensity
from denoise_engine.transfer.lesions import LesionFigures, lesion_test
from denoise_engine.transfer.models import LoadedTransfer
from denoise_engine.transfer.patches import PatchSettings, in_patches
from denoise_engine.transfer.segmentation import WHITE

if TYPE_CHECKING:
    from benchmarks.transfer import Report

OVER_REST, OVER_GRADIENT, SHARE = 2.0, 1.2, 0.1
EACH = 4  # lesions of every size and contrast


def warning_tables(report: Report, case: Case, made: dict[str, Enhanced]) -> None:
    """Expected against observed error, and what flagging a tenth of the brain finds."""
    brain, truth = case.reference.priors.brain, case.reference.head.volume
    unit = 100 / case.reference.head.tissues.mean
    both = any(one.parameter is not None for one in made.values())
    what = "Intrinsic and parameter uncertainty together" if both else "Intrinsic uncertainty"
    report.say(
        "",
        f"### Warning maps: {case.title}",
        "",
        f"{what}, calibrated on the validation head; {SHARE:.0%} of the brain "
        "flagged. Errors in % of the mean of grey and white matter.",
        "",
        "| network | calibration error | error of flagged | of the rest | ratio | "
        "of the strongest gradients | ratio |",
        "| --- |" + " --- |" * 6,
    )
    curves = []
    for name, one in made.items():
        if one.sd is None:
            continue
        error = one.volume - truth
        calibrated = reliability(error, one.sd, brain)
        found = flagging(error, one.sd, one.volume, brain, SHARE)
        report.say(
            f"| {name} | {calibrated.error:.3f} | {unit * found.flagged:.2f} | "
            f"{unit * found.rest:.2f} | {found.over_rest:.2f} | {unit * found.by_gradient:.2f} | "
            f"{found.over_gradient:.2f} |"
        )
        report.mark(
            f"{name}, {case.title}: flagged voxels err {OVER_REST:g} times as much as the rest",
            f"{found.over_rest:.2f}",
            found.over_rest >= OVER_REST,
        )
        report.mark(
            f"{name}, {case.title}: and {OVER_GRADIENT:g} times as much as strong gradients",
            f"{found.over_gradient:.2f}",
            found.over_gradient >= OVER_GRADIENT,
        )
        curves.append((name, unit * calibrated.expected, unit * calibrated.observed))
    report.say("", "Expected error → observed, a twentieth of the brain each:", "")
    for name, expected, observed in curves:
        pairs = ", ".join(
            f"{e:.1f} → {o:.1f}" for e, o in list(zip(expected, observed, strict=True))[::3]
        )
        report.say(f"- {name}: {pairs}")


def seam_table(report: Report, data: Path, networks: dict[str, LoadedTransfer]) -> None:
    """The validation head at × 8: jumps at the borders of patches, seconds and memory."""
    head = load_heads(data, "validation")[0]
    start = (len(head.volume) - 96) // 2
    block = head.volume[start : start + 96]
    how = THICK[8]
    thick = degrade(block, how, head.tissues, np.random.default_rng(SEED))
    thick = thick / np.float32(typical_intensity(thick))
    report.say(
        "",
        "### Seams and the cost of overlap",
        "",
        f"{thick.shape[0]} slices of {thick.shape[1]} × {thick.shape[2]} at × 8, patches of 96. "
        "Jump: mean step between neighbours across the borders of patches, over that elsewhere; 1 "
        "is no seam. Seconds are those of one processor core.",
        "",
        "| network | overlap | blended | jump | seconds | peak memory, MiB |",
        "| --- | --- | --- | --- | --- | --- |",
    )
    backend = choose_backend("cpu", "auto")
    for name, network in networks.items():
        for settings in (
            PatchSettings(96, 0.0, blend=False),
            PatchSettings(96, 0.25),
            PatchSettings(96, 0.5),
        ):
            began = time.process_time()
            correction, _ = in_patches(
                network.network, thick, 8, settings=settings, backend=backend
            )
            seconds = time.process_time() - began
            jump = _jump(correction, thick.shape[1:])
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            report.say(
                f"| {name} | {settings.overlap:.0%} | {'yes' if settings.blend else 'no'} | "
                f"{jump:.3f} | {seconds:.1f} | {memory:.0f} |"
            )
            if settings.blend and settings.overlap == 0.25:
                report.mark(f"{name}: no seam at an overlap of 25 %", f"{jump:.3f}", jump < 1.05)


def _jump(correction: np.ndarray, shape: tuple[int, ...]) -> float:
    """Largest mean step between two columns or rows, over the mean of its neighbours'."""
    worst = 0.0
    for axis in (1, 2):
        steps = np.abs(np.diff(correction, axis=axis)).mean(axis=tuple({0, 1, 2} - {axis}))
        around = np.array([np.median(steps[max(0, k - 4) : k + 5]) for k in range(len(steps))])
        inner = slice(shape[axis - 1] // 6, -(shape[axis - 1] // 6))
        worst = max(worst, float((steps[inner] / np.maximum(around[inner], 1e-6)).max()))
    return worst


def lesion_tables(report: Report, case: Case, networks: dict[str, LoadedTransfer]) -> None:
    """Painted lesions through interpolation, the networks, and dDLR on the noisy thin slices."""
    head = case.reference.head
    white = case.reference.labels == WHITE
    mean = head.tissues.white

    def scan(volume: np.ndarray) -> np.ndarray:
        return simulate_like(case, volume)

    report.say(
        "",
        f"### Painted lesions: {case.title}",
        "",
        f"Balls in white matter, {EACH} of each size and contrast: how many are left with half of "
        "their contrast or more (false negatives are the others), and the mean share that is left. "
        "Invented: places without a lesion that look like one.",
        "",
        "| method | "
        + " | ".join(f"{d:g} mm" for d in (2, 3, 4, 6))
        + " | −40 % | −20 % | +20 % | invented |",
        "| --- |" + " --- |" * 8,
    )
    methods = {CUBIC: lambda thick: interpolate(thick, case.factor)}
    for name, network in networks.items():
        methods[name] = lambda thick, network=network: (
            enhance_with(network, thick, case.spacing, factor=case.factor).volume
        )
    for name, method in methods.items():
        found = lesion_test(
            head.volume, white, mean, head.spacing, scan, method, each=EACH, seed=SEED
        )
        report.say(f"| {name} | {_lesion_row(found)} |")
    if case.factor == 4:
        sigma = head.tissues.mean / 20

        def noisy(volume: np.ndarray) -> np.ndarray:
            rng = np.random.default_rng(SEED)
            real, imaginary = sigma * rng.standard_normal((2, *volume.shape), dtype=np.float32)
            return np.hypot(volume + real, imaginary).astype(np.float32)

        found = lesion_test(
            head.volume,
            white,
            mean,
            head.spacing,
            noisy,
            lambda image: denoise(image, noise=float(sigma), native_grid="off").volume,
            each=EACH,
            seed=SEED,
        )
        report.say(f"| dDLR (thin slices, SNR 20, full strength) | {_lesion_row(found)} |")


def _lesion_row(found: LesionFigures) -> str:
    def cell(of: list) -> str:  # type: ignore[type-arg]
        painted, left = sum(c.painted for c in of), sum(c.survived for c in of)
        return f"{left} of {painted}, {np.mean([c.kept for c in of]):.0%}"

    sizes = sorted({c.diameter for c in found.counts})
    contrasts = sorted({c.contrast for c in found.counts})
    cells = [cell([c for c in found.counts if c.diameter == d]) for d in sizes]
    cells += [cell([c for c in found.counts if c.contrast == k]) for k in contrasts]
    return " | ".join([*cells, f"{found.invented} of {found.places}"])


def simulate_like(case: Case, volume: np.ndarray) -> np.ndarray:
    """Degrade another version of the case's head, with the same noise."""
    from dataclasses import replace

    return simulate(replace(case.reference.head, volume=volume), case.how, SEED)
