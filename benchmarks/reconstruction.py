"""Reconstruction from k-space, measured beside BART on a real 16-channel brain slice.

    python benchmarks/reconstruction.py [--data FOLDER] [--write]

The slice is fully sampled; lines are left out of it, but for a centre of 24. All programs get the
same whitened samples and the same sensitivities (ESPIRiT of the centre), and are compared with the
full scan combined by these sensitivities. Settings of SENSE and compressed sensing are those that
come nearest to the full scan; the network has none. Each mark is printed with what was found, and
the exit status is 1 if one is missed. Without BART (``apt-get install bart``, a yardstick and
needed for nothing else) the comparisons with it are told as not measured.

``--write`` enters the figures and pictures into the model card of the unrolled network.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import bart  # noqa: E402
from denoise_engine.metrics import psnr, ssim  # noqa: E402
from denoise_engine.reconstruction import reconstruct  # noqa: E402
from denoise_engine.reconstruction.channels import (  # noqa: E402
    covariance_of_outer_kspace,
    mix,
    whitening_matrix,
)
from denoise_engine.reconstruction.models import load_unrolled  # noqa: E402
from denoise_engine.reconstruction.operators import centred_images  # noqa: E402
from denoise_engine.reconstruction.sensitivities import espirit  # noqa: E402
from denoise_engine.reconstruction.unrolled import PUBLISHED_BOUNDS  # noqa: E402
from denoise_engine.simulation.sampling import (  # noqa: E402
    centre,
    uniform_mask,
    variable_density_mask,
)

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

SHARED = ROOT.parent / "shared" / "data"
SLICE = "kspace/brain-gre-3t-16ch.npz"
CENTRE = 24
LIMITS = {2: 0.030, 3: 0.045, 4: 0.087}
LAMBDAS = (1, 1.5, 2, 3, 4, 5, 6, 8, 12, 20, 50)
BEST_LAMBDA = (3, 8)
PLAIN = 50.0  # so weak a prior is plain SENSE
PENALTIES = (0.1, 0.15, 0.2, 0.3, 0.45, 0.7, 1.0)
BART_PENALTIES = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.015, 0.03)
COMMERCIAL = 0.55  # share of samples of the commercial compressed sensing


@dataclass(frozen=True)
class Slice:
    """The slice, whitened: k-space and sensitivities (1, coils, rows, columns), the full image."""

    kspace: NDArray[np.complex64]
    maps: NDArray[np.complex64]
    reference: Floats

    @property
    def matrix(self) -> tuple[int, int]:
        return int(self.kspace.shape[2]), int(self.kspace.shape[3])


@dataclass(frozen=True)
class Mark:
    """Something the reconstructions have to reach; ``reached`` is None where BART is missing."""

    what: str
    found: str
    reached: bool | None

    @property
    def verdict(self) -> str:
        return {True: "passed", False: "MISSED", None: "not measured"}[self.reached]


Section = tuple[list[str], list[Mark]]


@dataclass(frozen=True)
class Figures:
    nrmse: float
    psnr: float
    ssim: float

    def __str__(self) -> str:
        return f"{self.nrmse:.4f} | {self.psnr:.2f} | {self.ssim:.3f}"


def load_slice(path: Path) -> Slice:
    """Read the slice and whiten it by the noise of its outermost samples."""
    with np.load(path) as stored:
        raw = torch.from_numpy(stored["kspace"][None].astype(np.complex64))
    rows, columns = raw.shape[-2:]
    covariance = covariance_of_outer_kspace(raw, torch.ones(rows, columns, dtype=torch.bool))
    kspace = mix(whitening_matrix(covariance), raw)
    down, across = centre((rows, columns), CENTRE)
    maps = espirit(kspace[:, :, down, across], (rows, columns))
    full = (maps.conj() * centred_images(kspace)).sum(dim=1)
    return Slice(kspace.numpy(), maps.numpy(), full.abs().numpy())


def compare(image: NDArray[np.generic], reference: Floats) -> Figures:
    """NRMSE, PSNR (peak of the reference) and SSIM of magnitudes over the whole field."""
    magnitude = np.abs(image).reshape(reference.shape).astype(np.float32)
    error = np.linalg.norm(magnitude - reference) / np.linalg.norm(reference)
    return Figures(float(error), psnr(magnitude, reference), ssim(magnitude, reference))


def ours(scan: Slice, mask: Mask, method: str, **settings: object) -> NDArray[np.complex64]:
    """Reconstruct with given sensitivities, without a noise map."""
    kept = mask[:, None] if mask.ndim == 1 else mask
    return reconstruct(
        scan.kspace * kept,
        mask,
        method=method,  # type: ignore[arg-type]
        sensitivities=scan.maps,
        noise=_white(scan.kspace.shape[1]),
        replicas=0,
        **settings,  # type: ignore[arg-type]
    ).image[0]


def theirs(
    scan: Slice, mask: Mask, folder: Path, *options: str, threads: int = 2
) -> tuple[NDArray[np.complex64], bart.Run]:
    """Reconstruct with BART's pics, by the same samples and sensitivities."""
    kept = mask[:, None] if mask.ndim == 1 else mask
    bart.write(folder / "samples", _for_bart((scan.kspace * kept)[0]))
    bart.write(folder / "maps", _for_bart(scan.maps[0]))
    done = bart.run(
        "pics", *options, folder / "samples", folder / "maps", folder / "image", threads=threads
    )
    return bart.read(folder / "image"), done


def sense_table(scan: Slice, folder: Path) -> Section:
    lines = [
        "| R | samples | BART pics | ours | over BART | limit |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    marks = []
    for reduction, limit in LIMITS.items():
        mask = uniform_mask((scan.matrix[0],), (reduction,), calibration=CENTRE)
        mu = 1 / (4 * PLAIN**2)
        their = None
        if bart.is_installed():
            image, _ = theirs(scan, mask, folder, "-S", "-l2", "-r", f"{mu}", "-i", "100")
            their = compare(image, scan.reference).nrmse
        our = compare(ours(scan, mask, "sense", bound=PLAIN), scan.reference).nrmse
        marks += [
            Mark(f"SENSE, R = {reduction}: NRMSE at most {limit}", f"{our:.4f}", our <= limit),
            _against("SENSE", f"R = {reduction}", our, their, 0.02),
        ]
        lines.append(
            f"| {reduction} | {mask.mean():.0%} | {_told(their)} | {our:.4f} | "
            f"{_over(our, their)} | {limit:.3f} |"
        )
    return lines, marks


def compressed_sensing_table(scan: Slice, folder: Path) -> Section:
    lines = [
        "| sampling | samples | BART l1-wavelet | ours | over BART |",
        "| --- | --- | --- | --- | --- |",
    ]
    marks = []
    for name, fraction in (("55 %, commercial", COMMERCIAL), ("as R = 4", 50 / 128)):
        mask = random_mask(scan, fraction)
        their = None
        if bart.is_installed():
            their = min(
                compare(
                    theirs(scan, mask, folder, "-S", "-e", "-i", "100", "-R", f"W:3:0:{p}")[0],
                    scan.reference,
                ).nrmse
                for p in BART_PENALTIES
            )
        our = min(
            compare(ours(scan, mask, "cs", penalty=p), scan.reference).nrmse for p in PENALTIES
        )
        marks.append(_against("compressed sensing", name, our, their, 0.05))
        lines.append(
            f"| {name} | {mask.mean():.0%} | {_told(their)} | {our:.4f} | {_over(our, their)} |"
        )
    return lines, marks


def _against(method: str, case: str, our: float, their: float | None, more: float) -> Mark:
    found = f"{our:.4f} and {_told(their)} of BART"
    reached = None if their is None else our <= (1 + more) * their
    return Mark(f"{method}, {case}: at most {more:.0%} above BART", found, reached)


def _told(their: float | None) -> str:
    return "not measured" if their is None else f"{their:.4f}"


def _over(our: float, their: float | None) -> str:
    return "" if their is None else f"{our / their - 1:+.1%}"


def random_mask(scan: Slice, fraction: float) -> Mask:
    rows = scan.matrix[0]
    rng = np.random.default_rng(0)
    return variable_density_mask(rows, fraction=fraction, rng=rng, calibration=CENTRE / rows)


def lambda_curve(scan: Slice) -> list[tuple[float, Figures]]:
    """Plain SENSE at R = 4 against λ."""
    mask = uniform_mask((scan.matrix[0],), (4,), calibration=CENTRE)
    return [
        (bound, compare(ours(scan, mask, "sense", bound=bound), scan.reference))
        for bound in LAMBDAS
    ]


def lambda_table(curve: list[tuple[float, Figures]]) -> Section:
    best = max(curve, key=lambda point: point[1].psnr)[0]
    lines = [
        "| λ | " + " | ".join(f"{bound:g}" for bound, _ in curve) + " |",
        "| --- |" + " --- |" * len(curve),
        "| PSNR, dB | " + " | ".join(f"{found.psnr:.2f}" for _, found in curve) + " |",
        "| SSIM | " + " | ".join(f"{found.ssim:.3f}" for _, found in curve) + " |",
    ]
    lowest, highest = BEST_LAMBDA
    mark = Mark(
        f"plain SENSE: highest PSNR at a λ from {lowest} to {highest} (the article's: near 5)",
        f"{best:g}",
        lowest <= best <= highest,
    )
    return lines, [mark]


def learned_table() -> Section:
    network = load_unrolled().network
    learned, closing = network.bounds, network.closing_bound
    return [
        "| iteration | " + " | ".join(str(t + 1) for t in range(len(learned))) + " |",
        "| --- |" + " --- |" * len(learned),
        "| learned λ | " + " | ".join(f"{bound:.2f}" for bound in learned) + " |",
        "| the article's | " + " | ".join(f"{bound:.2f}" for bound in PUBLISHED_BOUNDS) + " |",
        *([] if closing is None else ["", f"The closing SENSE step has λ = {closing:.2f}."]),
    ], [
        Mark(
            "learned λ: larger steps first, as the article's",
            " ".join(f"{bound:.2f}" for bound in learned),
            min(learned[:2]) > learned[2] > learned[3] > max(learned[4:]),
        )
    ]


def images_at_four(
    scan: Slice, curve: list[tuple[float, Figures]]
) -> dict[str, NDArray[np.complex64]]:
    """The methods at R = 4, each on the same uniform samples with a full centre.

    Compressed sensing also on as many random lines, which suit it.
    """
    mask = uniform_mask((scan.matrix[0],), (4,), calibration=CENTRE)
    at_random = random_mask(scan, float(mask.mean()))
    best = max(curve, key=lambda point: point[1].psnr)[0]

    def tuned(chosen: Mask) -> NDArray[np.complex64]:
        return min(
            (ours(scan, chosen, "cs", penalty=p) for p in PENALTIES),
            key=lambda image: compare(image, scan.reference).nrmse,
        )

    return {
        "zero-filled": ours(scan, mask, "zero-filled"),
        f"SENSE, λ = {best:g}": ours(scan, mask, "sense", bound=best),
        "CS": tuned(mask),
        "CS, random samples": tuned(at_random),
        "unrolled": ours(scan, mask, "unrolled"),
    }


def speed_table(scan: Slice, folder: Path, path: Path, threads: int) -> Section:
    """Seconds and memory from samples to image, sensitivities included."""
    lines = [
        "| program | seconds a slice | against BART | peak memory, MiB |",
        "| --- | --- | --- | --- |",
    ]
    their = None
    if bart.is_installed():
        their, memory = _speed_of_bart(scan, folder, threads)
        lines.append(f"| BART ecalib + pics (SENSE) | {their:.2f} | 1 | {memory:.0f} |")
    marks = []
    for method, most in (("sense", 1.0), ("unrolled", 5.0), ("cs", None)):
        seconds, held = _in_own_process(path, method, threads)
        ratio = "" if their is None else f"{seconds / their:.2f}"
        lines.append(f"| ours, {method} | {seconds:.2f} | {ratio} | {held:.0f} |")
        if most is not None:
            reached = None if their is None else seconds <= most * their
            found = f"{seconds:.2f} s" + (f", {ratio} ×" if ratio else "")
            marks.append(
                Mark(f"{method}: at most {most:g} × the seconds of BART's SENSE", found, reached)
            )
    return lines, marks


def _speed_of_bart(scan: Slice, folder: Path, threads: int) -> tuple[float, float]:
    mask = uniform_mask((scan.matrix[0],), (4,), calibration=CENTRE)
    bart.write(folder / "samples", _for_bart((scan.kspace * mask[:, None])[0]))
    find = ("ecalib", "-m1", "-r", f"{CENTRE}:{CENTRE}", folder / "samples", folder / "found")
    solve = ("pics", "-S", "-l2", "-r", "0.01", folder / "samples", folder / "found", folder / "x")
    runs = [(bart.run(*find, threads=threads), bart.run(*solve, threads=threads)) for _ in range(3)]
    seconds = min(a.seconds + b.seconds for a, b in runs)
    return seconds, max(max(a.memory, b.memory) for a, b in runs)


def _in_own_process(path: Path, method: str, threads: int) -> tuple[float, float]:
    done = subprocess.run(
        [
            sys.executable,
            __file__,
            "--data",
            str(path.parents[1]),
            "--time",
            method,
            "--threads",
            str(threads),
        ],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": str(threads)},
    )
    said = json.loads(done.stdout.splitlines()[-1])
    return said["seconds"], said["memory"]


def time_method(path: Path, method: str, threads: int) -> None:
    """Print the fastest of three and the peak memory of this process."""
    torch.set_num_threads(threads)
    with np.load(path) as stored:
        kspace = stored["kspace"]
    mask = uniform_mask((kspace.shape[1],), (4,), calibration=CENTRE)
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        reconstruct(kspace * mask[:, None], mask, method=method, replicas=0)  # type: ignore[arg-type]
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds": min(seconds[1:]), "memory": bart.own_peak()}))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--data", type=Path, default=SHARED, help="the data folder")
    parser.add_argument("--write", action="store_true", help="into the model card")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--time", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    path: Path = arguments.data / SLICE
    if arguments.time:
        time_method(path, arguments.time, arguments.threads)
        return 0
    if not path.is_file():
        print(f"There is no “{path}” (--data names the folder). Nothing was measured.")
        return 0
    torch.set_num_threads(arguments.threads)
    return measure(path, arguments.threads, write=arguments.write)


def measure(path: Path, threads: int, *, write: bool) -> int:
    """Measure everything, print it, perhaps into the card; 1 if a mark is missed."""
    scan = load_slice(path)
    if bart.is_installed():
        beside = f"beside BART {bart.version()}"
    else:
        beside = f"without BART ({bart.HOW_TO_INSTALL})"
    lines = [f"Real 16-channel brain slice, 128 × 128, {beside}."]
    print(lines[0], flush=True)
    marks: list[Mark] = []

    def section(title: str, made: Section) -> None:
        table, of_section = made
        marks.extend(of_section)
        lines.extend(["", f"### {title}", "", *table])
        print("\n".join(["", title, "", *table]), flush=True)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        section("NRMSE of SENSE (uniform lines and a centre of 24)", sense_table(scan, folder))
        section(
            "NRMSE of compressed sensing (random lines), each at its best penalty",
            compressed_sensing_table(scan, folder),
        )
        curve = lambda_curve(scan)
        images = images_at_four(scan, curve)
        section("R = 4", methods_table(scan, images))
        section("Plain SENSE at R = 4 against λ", lambda_table(curve))
        section("λ of the unrolled network", learned_table())
        section(
            f"Speed and memory, {threads} threads, 16 coils, sensitivities included",
            speed_table(scan, folder, path, threads),
        )
    table = ["| mark | found | |", "| --- | --- | --- |"]
    table += [f"| {mark.what} | {mark.found} | {mark.verdict} |" for mark in marks]
    section("Marks", (table, []))
    if write:
        from benchmarks.reconstruction_figures import write_into_card

        write_into_card(load_unrolled().file.path, lines, scan.reference, images, curve)
    return 1 if any(mark.reached is False for mark in marks) else 0


def methods_table(scan: Slice, images: dict[str, NDArray[np.complex64]]) -> Section:
    figures = {name: compare(image, scan.reference) for name, image in images.items()}
    lines = ["| method | NRMSE | PSNR, dB | SSIM |", "| --- | --- | --- | --- |"]
    lines += [f"| {name} | {found} |" for name, found in figures.items()]
    network = figures["unrolled"]
    marks = []
    for name, other in figures.items():
        if name in ("unrolled", "zero-filled"):
            continue
        gain = network.psnr - other.psnr
        marks += [
            Mark(f"unrolled against {name}: 2 dB more PSNR", f"{gain:+.2f} dB", gain >= 2),
            Mark(
                f"unrolled against {name}: more SSIM",
                f"{network.ssim - other.ssim:+.4f}",
                network.ssim > other.ssim,
            ),
        ]
    return lines, marks


def _white(coils: int) -> NDArray[np.complex64]:
    """Noise whose sample covariance is exactly that of white noise of SD 1."""
    one = np.sqrt(2 * coils) * np.eye(coils)
    return np.concatenate([one, -one, one, -one], axis=1).astype(np.complex64)


def _for_bart(data: NDArray[np.complex64]) -> NDArray[np.complex64]:
    return np.moveaxis(data, 0, -1)[:, :, None, :]


if __name__ == "__main__":
    sys.exit(main())
