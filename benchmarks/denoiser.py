"""dDLR beside its peers: PSNR, SSIM and seconds a slice, in one run.

    python benchmarks/denoiser.py [--data FOLDER] [--slices N] [--only SET] [--json FILE]

Every method is given the same noise level (a scalar; a map for the coil data) and, for Rician
noise, the same bias step afterwards. PSNR (peak: the slice's maximum) and SSIM are taken inside the
body. Without a data folder only the demo's lumbar slices are run. Times are medians of one run;
compare them as ratios. The last part prints how much of the processor's matrix-product rate dDLR
uses, and the peak memory of large series.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

import denoiser_images as images
from denoiser_methods import Method, peers
from denoiser_resources import MEMORY_LIMIT, large_series, operations, share_of_products

import denoise_engine  # noqa: F401 - sets the environment before torch is loaded
from denoise_engine.metrics import psnr, ssim
from denoise_engine.noise import correct_bias
from denoise_engine.runtime import has_bfloat16

NEIGHBOUR = images.ROOT.parent / "shared" / "data"


@dataclass
class Row:
    """Figures of one method on one set at one level, a value a slice."""

    psnr: list[float] = field(default_factory=list)
    ssim: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def as_json(self) -> dict[str, float]:
        return {
            "psnr": float(np.mean(self.psnr)),
            "ssim": float(np.mean(self.ssim)),
            "seconds": statistics.median(self.seconds),
        }


def judge(methods: dict[str, Method], cases: Iterator[images.Case], biased: bool) -> dict[str, Row]:
    rows = {name: Row() for name in methods}
    for case in cases:
        for name, method in methods.items():
            start = time.perf_counter()
            out = method(case.noisy, case.sigma)
            rows[name].seconds.append(time.perf_counter() - start)
            if biased:
                level = np.broadcast_to(np.float32(case.sigma), out.shape)
                out = correct_bias(out[None], level[None])[0]
            rows[name].psnr.append(psnr(out, case.clean, case.body))
            rows[name].ssim.append(ssim(out[None], case.clean[None], case.body[None]))
    return rows


def run_set(name: str, kind: str, methods: dict[str, Method], cases: Any) -> list[dict[str, Any]]:
    """One block of the table; ``cases(snr)`` gives the noisy slices of a level."""
    found: list[dict[str, Any]] = []
    print(f"\n{name}, {kind} noise\n{'SNR':>4}  {'method':15} {'PSNR dB':>8} {'SSIM':>6} {'s':>7}")
    for snr in images.LEVELS:
        rows = judge(methods, cases(snr), biased=kind != "Gaussian")
        for method, row in rows.items():
            figures = row.as_json()
            found.append({"set": name, "noise": kind, "snr": snr, "method": method, **figures})
            print(
                f"{snr:4g}  {method:15} {figures['psnr']:8.2f} {figures['ssim']:6.3f} "
                f"{figures['seconds']:7.3f}",
                flush=True,
            )
    return found


def compare(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Against BM3D where it ran: the mean difference over the levels, and the worst."""
    verdicts: list[dict[str, Any]] = []
    value = {(f["set"], f["noise"], f["snr"], f["method"]): f["psnr"] for f in found}
    blocks = dict.fromkeys((f["set"], f["noise"]) for f in found)
    names = [m for m in dict.fromkeys(f["method"] for f in found) if m.startswith(("dDLR", "ddlr"))]
    print(f"\n{'above BM3D, dB':30} {'method':15} {'mean':>6} {'worst':>6}")
    for block in blocks:
        for name in names:
            gaps = [value[*block, snr, name] - value[*block, snr, "BM3D"] for snr in images.LEVELS]
            verdicts.append(
                {"set": block[0], "noise": block[1], "method": name}
                | {"mean": float(np.mean(gaps)), "worst": min(gaps)}
            )
            print(
                f"{block[0] + ', ' + block[1]:30} {name:15} {np.mean(gaps):+6.2f} {min(gaps):+6.2f}"
            )
    return verdicts


def speed(
    found: list[dict[str, Any]], shape: tuple[int, int], methods: dict[str, Method]
) -> dict[str, float]:
    """Seconds a slice of the lumbar set, as ratios, and as a share of the matrix-product rate."""
    times: dict[str, list[float]] = {}
    for f in found:
        if f["set"] == "lumbar":
            times.setdefault(f["method"], []).append(f["seconds"])
    medians = {name: statistics.median(t) for name, t in times.items() if name != "input"}
    print(f"\nSeconds a slice of {shape[0]} × {shape[1]}")
    for name, seconds in medians.items():
        share = f"{seconds / medians['BM3D']:8.3f} of BM3D" if "BM3D" in medians else ""
        print(f"{name:15} {seconds:7.3f} {share}")
    out = {f"seconds {name}": seconds for name, seconds in medians.items()}
    image = np.random.default_rng(1).normal(100, 5, shape).astype(np.float32)
    for dtype in ("float32", "bfloat16"):
        method = methods[f"dDLR {dtype}"]
        share = share_of_products(partial(method, image, 5.0), operations(*shape), dtype)
        out[f"share of matrix products {dtype}"] = share["median"]
        print(
            f"dDLR {dtype}: {share['operations a second'] / 1e9:.0f} G operations a second, "
            f"{100 * share['median']:.0f} % of this processor's matrix products beside it (median "
            f"of turns; best {100 * share['best']:.0f} %)"
        )
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=NEIGHBOUR if NEIGHBOUR.is_dir() else None)
    parser.add_argument("--slices", type=int, default=7, help="slices a set")
    parser.add_argument("--only", choices=["lumbar", "brain", "knee", "coils"])
    parser.add_argument("--json", type=Path, help="write the figures there too")
    parser.add_argument("--no-memory", action="store_true", help="leave the memory part out")
    arguments = parser.parse_args()
    methods = peers()
    sets = [images.lumbar(arguments.data, arguments.slices)]
    if arguments.data is None:
        print("No data folder (--data): brain, knee and coil data are left out.")
    else:
        sets += images.kept_out(arguments.data, arguments.slices)
    for method in methods.values():  # the first call of each loads and prepares
        method(sets[0].slices[0], 5.0)
    found: list[dict[str, Any]] = []
    for chosen in (s for s in sets if arguments.only in (None, s.name)):
        print(f"\n{chosen.name}: {chosen.what}")
        for kind in images.KINDS:
            cases = _cases_of(chosen, kind)
            found += run_set(chosen.name, kind, methods, cases)
    if arguments.data is not None and arguments.only in (None, "coils"):
        data = arguments.data
        own = images.coil_snr(data)
        print(f"\ncoils: one measured 16-channel brain slice; its own SNR is {own:.0f}")
        found += run_set("coils", "measured", methods, lambda s: images.coil_cases(data, s, 3))
    result: dict[str, Any] = {"psnr": found, "slices": arguments.slices}
    if "BM3D" in methods:
        result["above BM3D"] = compare(found)
    if arguments.only in (None, "lumbar"):
        rows, columns = sets[0].slices[0].shape
        result["speed"] = speed(found, (rows, columns), methods)
    if not arguments.no_memory:
        result["memory"] = large_series()
        print("\nPeak memory of a whole process")
        for m in result["memory"]:
            print(
                f"{m['shape']}, {m['how']}: {m['MiB']:.0f} MiB, {m['seconds']:.0f} s "
                f"({m['backend']})"
            )
    missed = verdict(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    return 1 if missed else 0


def verdict(result: dict[str, Any]) -> int:
    """Print every mark that was judged, and how many were missed."""
    marks: list[tuple[str, bool]] = []
    for row in result.get("above BM3D", []):
        if row["set"] == "lumbar" and row["method"].startswith("dDLR"):
            name = f"lumbar, {row['noise']}, {row['method']}: "
            marks.append((name + f"above BM3D on average ({row['mean']:+.2f} dB)", row["mean"] > 0))
            low = f"at no level more than 0.3 dB below ({row['worst']:+.2f} dB)"
            marks.append((name + low, row["worst"] >= -0.3))
    if "above BM3D" not in result:
        marks.append(("BM3D is not installed: no comparison", False))
    speed = result.get("speed", {})
    if "seconds BM3D" in speed:
        dtype, part = ("bfloat16", 6) if has_bfloat16("cpu") else ("float32", 3)
        ratio = speed[f"seconds dDLR {dtype}"] / speed["seconds BM3D"]
        marks.append((f"at most 1/{part} of BM3D's time ({ratio:.3f})", ratio <= 1 / part))
        share = speed[f"share of matrix products {dtype}"]
        marks.append((f"60 % of the matrix-product rate ({100 * share:.0f} %)", share >= 0.6))
    for m in result.get("memory", []):
        name = f"{m['shape']}, {m['how']}, under 2 GiB ({m['MiB']:.0f} MiB)"
        marks.append((name, m["MiB"] < MEMORY_LIMIT))
    print()
    for name, holds in marks:
        print(f"{'holds' if holds else 'MISSED':8}{name}")
    return sum(not holds for _, holds in marks)


def _cases_of(chosen: images.CleanSet, kind: str) -> Any:
    return lambda snr: (
        images.with_noise(clean, kind, snr, k) for k, clean in enumerate(chosen.slices)
    )


if __name__ == "__main__":
    sys.exit(main())
