"""Scans of ``benchmarks/transfer.py``: a test head, degraded, and what each method makes of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from denoise_engine.transfer.enhance import enhance_with
from denoise_engine.transfer.evaluation import Reference, reference_of, simulate, trimmed
from denoise_engine.transfer.forward import LOW_FIELD, THICK, THREE_TESLA, Degradation
from denoise_engine.transfer.grids import interpolate
from denoise_engine.transfer.heads import SOURCES, load_head
from denoise_engine.transfer.label_maps import tissue_masks
from denoise_engine.transfer.models import LoadedTransfer
from denoise_engine.transfer.segmentation import Template, place_priors, read_template

Floats = NDArray[np.float32]

CUBIC, AS_IT_IS = "cubic", "the scan at 3 T"
SCANS = {"thick": THICK, "low": LOW_FIELD, "field": THREE_TESLA}
SEED = 20260101


@dataclass(frozen=True)
class Case:
    """One degraded scan of one test head."""

    reference: Reference
    scan: str
    factor: int
    how: Degradation
    thick: Floats

    @property
    def key(self) -> str:
        return f"{self.reference.head.name}/{self.scan}/{self.factor}"

    @property
    def title(self) -> str:
        head = "0.67-mm head" if "forrest" in self.key else "synthesised head"
        if self.scan == "field":
            return f"{head}, as at 3 T"
        kind = {"thick": "thick slices", "low": "thick slices, low field"}[self.scan]
        return f"{head}, {kind}, × {self.factor}"

    @property
    def baseline(self) -> str:
        """What the networks are compared with."""
        return CUBIC if self.factor > 1 else AS_IT_IS

    @property
    def described(self) -> str:
        how, spacing = self.how, self.reference.head.spacing
        if self.factor == 1:
            return (
                f"Voxels of {spacing[1]:.2f} mm, blur {how.blur:g} voxels in all directions, "
                f"{how.contrast:g} of the contrast, SNR {how.snr:g}: simulated, no scan at 7 T is "
                f"behind it. {self._extent}"
            )
        return (
            f"Slices {self.factor * spacing[0]:.2f} mm apart, {how.thickness:g} of that thick, "
            f"pixels {spacing[1]:.2f} mm, blur {how.blur:g} pixels, {how.contrast:g} of the "
            f"contrast, SNR {how.snr:g}. {self._extent}"
        )

    @property
    def _extent(self) -> str:
        head = self.reference.head
        return f"{len(head.volume)} slices, {len(head.volume) * head.spacing[0]:.0f} mm."

    @property
    def spacing(self) -> tuple[float, float, float]:
        z, y, x = self.reference.head.spacing
        return (z * self.factor, y, x)


@dataclass(frozen=True)
class Enhanced:
    """What a method made of a scan; ``sd`` is the error it expects."""

    volume: Floats
    sd: Floats | None = None
    intrinsic: Floats | None = None
    parameter: Floats | None = None
    seconds: float = 0.0


@lru_cache(maxsize=1)
def template_in(data: Path) -> Template:
    return read_template(data)


@lru_cache(maxsize=2)
def reference_in(data: Path, name: str, slices: int | None = None) -> Reference:
    """Read a test head by a part of its name, and find or take its tissues.

    With ``slices``, so many around the middle of the brain, a multiple of 8.
    """
    source = next(s for s in SOURCES if s.part == "test" and name in s.path)
    head = trimmed(load_head(data, source), 8)
    priors = place_priors(template_in(data), head)
    if slices is not None:
        middle = int(np.median(np.nonzero(priors.brain.any(axis=(1, 2)))[0]))
        first = max(0, min(middle - slices // 2, len(head.volume) - slices))
        part = slice(first, first + slices)
        labels = None if head.labels is None else head.labels[part]
        head = replace(head, volume=head.volume[part], labels=labels)
        priors = replace(priors, maps=priors.maps[:, part], brain=priors.brain[part])
    if head.labels is None:
        return reference_of(head, priors)
    grey, white, csf = tissue_masks(head.labels)
    known = (grey + 2 * white + 3 * csf).astype(np.uint8)
    return reference_of(head, priors, known)


def cases_of(
    data: Path,
    name: str,
    scans: Sequence[str],
    factors: Sequence[int],
    slices: int | None = None,
) -> Iterator[Case]:
    """Degrade a test head in every way that was asked for."""
    reference = reference_in(data, name, slices)
    for scan in scans:
        for factor, how in SCANS[scan].items():
            if factor > 1 and factor not in factors:
                continue
            yield Case(reference, scan, factor, how, simulate(reference.head, how, SEED))


def networks_for(case: Case, networks: dict[str, LoadedTransfer]) -> dict[str, LoadedTransfer]:
    """Return the networks that are made for a case."""
    return {
        name: network
        for name, network in networks.items()
        if case.factor in network.card["architecture"]["factors"]
    }


def enhanced_by(
    case: Case, networks: dict[str, LoadedTransfer], *, samples: int = 0
) -> dict[str, Enhanced]:
    """Run cubic interpolation and every network."""
    made = {case.baseline: Enhanced(interpolate(case.thick, case.factor))}
    for name, network in networks_for(case, networks).items():
        start = time.process_time()
        result = enhance_with(
            network, case.thick, case.spacing, factor=case.factor, samples=samples
        )
        made[name] = Enhanced(
            result.volume,
            result.uncertainty,
            result.intrinsic,
            result.parameter,
            time.process_time() - start,
        )
    return made
