"""Painted lesions through every method of the engine, for the cards and for the study's checks.

One head, one set of painted lesions, and for each method the scan that it is made for: thin slices
with noise for the denoiser, k-space at R = 4 for the unrolled network, thick slices for the U-nets,
the simulated 3 T for the 7 T-like generators. What each of these scans keeps without any learning
(interpolation, the scan itself) stands beside it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.transfer_site.cases import SEED
from benchmarks.transfer_site.report import Report
from denoise_engine.denoiser import denoise
from denoise_engine.errors import EngineError
from denoise_engine.models import find_model
from denoise_engine.reconstruction import reconstruct
from denoise_engine.reconstruction.models import load_unrolled
from denoise_engine.simulation.coils import smooth_coils
from denoise_engine.simulation.sampling import uniform_mask
from denoise_engine.transfer.enhance import enhance_with
from denoise_engine.transfer.forward import THICK, THREE_TESLA, Degradation, degrade
from denoise_engine.transfer.grids import interpolate
from denoise_engine.transfer.heads import SOURCES, Head, load_head
from denoise_engine.transfer.label_maps import tissue_masks
from denoise_engine.transfer.lesions import lesion_test
from denoise_engine.transfer.models import LoadedTransfer

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Step = Callable[[Any], Any]

SLICES = 40  # of the head, around the middle of its white matter
EACH = 4  # lesions of every size and contrast
_SNR_THIN, _SNR_RAW, _COILS, _REDUCTION, _CENTRE = 20.0, 40.0, 12, 4, 24


@dataclass(frozen=True)
class Through:
    """A method and the scan it is made for. ``version`` and ``sha256`` are None without weights."""

    method: str
    scan: str
    degrade: Step
    enhance: Step
    version: str | None = None
    sha256: str | None = None


def lesion_part(
    report: Report,
    data: Path,
    networks: dict[str, LoadedTransfer],
    *,
    methods: Sequence[str] | None = None,
    kept: Path | None = None,
) -> None:
    """Run every method, or those named, print the table, and renew the file that studies read."""
    head, white = _block(data)
    wanted = [one for one in _all(head, networks) if methods is None or one.method in methods]
    entries = _before(kept)
    for one in wanted:
        try:
            found = lesion_test(
                head.volume,
                white,
                head.tissues.white,
                head.spacing,
                one.degrade,
                one.enhance,
                each=EACH,
                seed=SEED,
            )
        except EngineError as error:
            raise SystemExit(f"Lesions through {one.method}: {error}") from error
        entries[one.method, one.scan] = {
            "method": one.method,
            "version": one.version,
            "sha256": one.sha256,
            "scan": one.scan,
            "counts": [asdict(count) for count in found.counts],
            "invented": found.invented,
            "places": found.places,
        }
        print(f"lesions through {one.method}, {one.scan}: {found.invented} invented", flush=True)
        if kept is not None:
            told = {
                "head": head.name,
                "slices": SLICES,
                "each": EACH,
                "seed": SEED,
                "survives": "at least half of the painted contrast is left, and stands out",
                "methods": list(entries.values()),
            }
            kept.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    report.figures["lesions"] = list(entries.values())
    report.begin("Painted lesions: survive and appear", networks)
    report.say(
        f"{SLICES} slices of the synthesised head (1 mm; its tissues are known). Balls in white "
        f"matter, {EACH} of each size and contrast: how many are left with half of their contrast "
        "or more (the others are false negatives), and the mean share of the contrast that is "
        "left. False positives: places without a lesion, each tried once, that look like one. "
        "Healthy texture and one head: real lesions are harder.",
        "",
        "| method | scan | "
        + " | ".join(f"{d:g} mm" for d in (2, 3, 4, 6))
        + " | −40 % | −20 % | +20 % | false positives |",
        "| --- |" + " --- |" * 9,
    )
    for entry in entries.values():
        report.say(f"| {entry['method']} | {entry['scan']} | {_row(entry)} |")


def _before(kept: Path | None) -> dict[tuple[str, str], dict[str, Any]]:
    """What the file holds of methods that may not be measured now."""
    if kept is None or not kept.exists():
        return {}
    told = json.loads(kept.read_text(encoding="utf-8"))
    if (told["slices"], told["each"], told["seed"]) != (SLICES, EACH, SEED):
        return {}
    return {(e["method"], e["scan"]): e for e in told["methods"]}


def _block(data: Path) -> tuple[Head, Mask]:
    """Return the slices around the middle of the white matter, cut to the head, and that matter."""
    source = next(s for s in SOURCES if s.part == "test" and s.is_label_map)
    head = load_head(data, source)
    assert head.labels is not None
    white = tissue_masks(head.labels)[1]
    middle = int(np.median(np.nonzero(white)[0]))
    first = max(0, min(middle - SLICES // 2, len(white) - SLICES))
    slices = slice(first, first + SLICES)
    inside = (head.labels[slices] > 0).any(axis=0)
    rows, columns = (_span(inside.any(axis=axis)) for axis in (1, 0))
    box = (slices, rows, columns)
    volume = np.ascontiguousarray(head.volume[box])
    block = Head(source, volume, head.spacing, head.affine, head.tissues, head.labels[box])
    return block, white[box]


def _span(used: Mask) -> slice:
    """From a little before the first to a little behind the last, a multiple of 8 long."""
    where = np.nonzero(used)[0]
    first, last = max(0, int(where[0]) - 6), int(where[-1]) + 7
    return slice(first, min(len(used), last + -(last - first) % 8))


def _all(head: Head, networks: dict[str, LoadedTransfer]) -> list[Through]:
    methods = [_denoised(head), _reconstructed(head)]
    for factor, how in sorted(THICK.items()):
        methods.append(
            Through(
                "cubic",
                f"thick slices, × {factor}",
                _degrading(head, how),
                lambda thick, factor=factor: interpolate(thick, factor),
            )
        )
        methods += _by_networks(head, networks, how, f"thick slices, × {factor}")
    how = THREE_TESLA[1]
    methods.append(Through("the scan itself", "as at 3 T", _degrading(head, how), lambda s: s))
    return methods + _by_networks(head, networks, how, "as at 3 T")


def _by_networks(
    head: Head, networks: dict[str, LoadedTransfer], how: Degradation, scan: str
) -> list[Through]:
    z, y, x = head.spacing
    # How sure a network is of its image is not asked here.
    image_only = {name: replace(one, error_model=None) for name, one in networks.items()}
    return [
        Through(
            name,
            scan,
            _degrading(head, how),
            lambda thick, network=network: (
                enhance_with(network, thick, (z * how.factor, y, x), factor=how.factor).volume
            ),
            network.file.version,
            network.file.sha256,
        )
        for name, network in image_only.items()
        if how.factor in network.card["architecture"]["factors"]
    ]


def _degrading(head: Head, how: Degradation) -> Step:
    return lambda volume: degrade(volume, how, head.tissues, np.random.default_rng(SEED))


def _denoised(head: Head) -> Through:
    sigma = float(head.tissues.mean / _SNR_THIN)
    file = find_model("ddlr")
    return Through(
        "ddlr",
        f"thin slices, SNR {_SNR_THIN:g}, full strength",
        _degrading(head, Degradation(snr=_SNR_THIN)),
        lambda image: denoise(image, noise=sigma, native_grid="off").volume,
        file.version,
        file.sha256,
    )


def _reconstructed(head: Head) -> Through:
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

    def unrolled(kspace: NDArray[np.complex64]) -> Floats:
        found = reconstruct(kspace, mask, method="unrolled", noise=scan_of_noise, replicas=0)
        return np.asarray(sigma * found.magnitude(), dtype=np.float32)

    scan = f"k-space, R = {_REDUCTION} and a centre of {_CENTRE}, SNR {_SNR_RAW:g}"
    file = load_unrolled().file
    return Through("unrolled", scan, acquired, unrolled, file.version, file.sha256)


def _row(entry: dict[str, Any]) -> str:
    counts: list[dict[str, Any]] = entry["counts"]

    def cell(key: str, value: float) -> str:
        of = [c for c in counts if c[key] == value]
        painted, left = sum(c["painted"] for c in of), sum(c["survived"] for c in of)
        return f"{left} of {painted}, {np.mean([c['kept'] for c in of]):.0%}"

    cells = [cell("diameter", d) for d in sorted({c["diameter"] for c in counts})]
    cells += [cell("contrast", k) for k in sorted({c["contrast"] for c in counts})]
    return " | ".join([*cells, f"{entry['invented']} of {entry['places']}"])
