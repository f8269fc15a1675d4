"""What the evidence beside a denoised image is worth, on images whose truth is known.

    python benchmarks/evidence.py [--models NAME ...] [--slices N] [--replicas N] [--only PART ...]

Parts: ``structure`` (does the test of the removed noise tell a denoiser from a blur, and does it
find small structures that were erased), ``uncertainty`` (how well the map predicts true errors) and
``artifacts`` (error of compressed sensing apart from noise, before and after each model).

The truth is the lumbar demo, k-space cropped to 0.6 of its matrix, which takes most of its own
noise away. Errors are counted against it, so what noise is left in it counts as error.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, stats

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import denoise_engine  # noqa: E402, F401 - sets the environment before torch is loaded

# isort: split
import torch  # noqa: E402

from denoise_engine.evidence import judge_removed_noise, split_error  # noqa: E402
from denoise_engine.evidence.expected_noise import standardised  # noqa: E402
from denoise_engine.evidence.structure import lost_structure  # noqa: E402
from denoise_engine.evidence.uncertainty import uncertainty_of_slice  # noqa: E402
from denoise_engine.methods.filters import Filter, open_filter  # noqa: E402
from denoise_engine.metrics import body_mask  # noqa: E402
from denoise_engine.noise import NativeGrid, estimate_noise, to_native  # noqa: E402
from denoise_engine.noise.bias import magnitude_mean  # noqa: E402
from denoise_engine.reconstruction.compressed_sensing import fista  # noqa: E402
from denoise_engine.reconstruction.operators import CartesianEncoding  # noqa: E402
from denoise_engine.simulation.acquisition import COILS, FISTA_STEPS, PROTOCOLS  # noqa: E402
from denoise_engine.simulation.coils import smooth_coils, smooth_phase  # noqa: E402
from denoise_engine.simulation.sampling import variable_density_mask  # noqa: E402

LUMBAR = ROOT / "readerstudy" / "demo" / "data" / "lumbar"
SNRS = (5.0, 10.0, 20.0)
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


def lumbar_slices(count: int) -> list[tuple[Floats, Bools]]:
    """The central slice of each volunteer and its body, less the rim."""
    found = []
    for path in sorted(LUMBAR.glob("V0[1-6].npz"))[:count]:
        with np.load(path) as stored:
            volume = stored["volume"]
        middle = volume[len(volume) // 2][None].astype(np.float32)
        rows, columns = middle.shape[1:]
        grid = NativeGrid(rows, columns, round(0.6 * rows), round(0.6 * columns), "native")
        truth = np.maximum(to_native(middle, grid), 0)[0]
        body = ndimage.binary_erosion(body_mask(truth[None])[0], iterations=3)
        found.append((truth, body))
    return found


def with_noise(truth: Floats, sigma: float, seed: int, kind: str = "Rician") -> Floats:
    rng = np.random.default_rng(seed)
    real, imaginary = sigma * rng.standard_normal((2, *truth.shape), dtype=np.float32)
    return truth + real if kind == "Gaussian" else np.hypot(truth + real, imaginary)


def on_slice(method: Filter, sigma: float) -> Callable[[Floats], Floats]:
    def run(image: Floats) -> Floats:
        return method(image[None], np.full((1, *image.shape), sigma, dtype=np.float32))[0]

    return run


def spots(body: Bools, count: int, seed: int) -> Floats:
    """Gaussian spots of peak 1 and SD 1.5 pixels at random places of the body."""
    rng = np.random.default_rng(seed)
    centres = np.zeros(body.shape, dtype=np.float32)
    centres[tuple(rng.choice(np.argwhere(body), size=count, replace=False).T)] = 1
    drawn = ndimage.gaussian_filter(centres, 1.5)
    return np.minimum(drawn * np.float32(2 * np.pi * 1.5**2), 1)


def structure(models: list[str], slices: list[tuple[Floats, Bools]]) -> None:
    print("\nStructure test of the removed noise. Passed: share of slices; figures: median.")
    print(
        f"{'SNR':>4} {'output of':22} {'passed':>6} {'places':>6} {'edge corr':>9} {'edge ex.':>8} "
        f"{'white':>6} {'band ex.':>8} {'mean':>5} {'fine/mid':>8}"
    )
    methods = {name: open_filter(name, "cpu", "float32") for name in models}
    for snr in SNRS:
        rows = defaultdict(list)
        for k, (truth, body) in enumerate(slices):
            sigma = float(truth[body].mean()) / snr
            level = np.full((1, *truth.shape), sigma, dtype=np.float32)
            for kind in ("Rician", "Gaussian"):
                noisy = with_noise(truth, sigma, k, kind)
                outputs = {
                    f"{name}, {kind}": on_slice(method, sigma)(noisy)
                    for name, method in methods.items()
                }
                if kind == "Rician":
                    for width in (0.7, 1.0, 1.5):
                        outputs[f"blur of {width:g} pixels"] = ndimage.gaussian_filter(noisy, width)
                    outputs["median of 3 × 3"] = ndimage.median_filter(noisy, 3)
                    first = next(iter(methods.values()))
                    outputs["level taken ×2"] = on_slice(first, 2 * sigma)(noisy)
                for name, out in outputs.items():
                    rows[name].append(
                        judge_removed_noise(noisy[None], out[None], level, body[None])
                    )
        for name, tests in rows.items():
            median = {
                key: np.median([getattr(t, key) for t in tests])
                for key in (
                    "places",
                    "edge_correlation",
                    "edge_excess",
                    "whiteness",
                    "band_excess",
                    "local_mean",
                    "fine_over_middle",
                )
            }
            passed = np.mean([t.passed for t in tests])
            print(
                f"{snr:4g} {name:22} {passed:6.2f} {median['places']:6.0f} "
                f"{median['edge_correlation']:9.2f} {median['edge_excess']:8.2f} "
                f"{median['whiteness']:6.2f} {median['band_excess']:8.2f} "
                f"{median['local_mean']:5.2f} {median['fine_over_middle']:8.2f}"
            )
    erased_structures(methods, slices)


def erased_structures(methods: dict[str, Filter], slices: list[tuple[Floats, Bools]]) -> None:
    print(
        "\nSpots of SD 1.5 pixels. Kept: share of their contrast that the model leaves. Erased: the"
        "\nsame spots wholly missing in the output; found: share of them flagged. False: flagged"
        "\nplaces a slice in outputs from which nothing was erased."
    )
    print(f"{'SNR':>4} {'model':10} {'contrast':>8} {'kept':>6} {'found':>6} {'false':>6}")
    for snr in SNRS:
        for name, method in methods.items():
            figures = defaultdict(list)
            for k, (truth, body) in enumerate(slices):
                sigma = float(truth[body].mean()) / snr
                level = np.full(truth.shape, sigma, dtype=np.float32)
                run = on_slice(method, sigma)
                noisy = with_noise(truth, sigma, k)
                without = run(noisy)
                plain = lost_structure(standardised(noisy - without, without, level), body)
                shape = spots(body, 20, k)
                for contrast in (1, 2, 3):
                    marked = noisy + contrast * sigma * shape
                    kept = np.sum((run(marked) - without) * shape) / np.sum(np.square(shape))
                    lost = lost_structure(standardised(marked - without, without, level), body)
                    labels, count = ndimage.label(shape > 0.5)
                    hit = ndimage.maximum(lost, labels, np.arange(1, count + 1))
                    false = float(ndimage.label(plain)[1])
                    figures[contrast].append((kept / contrast / sigma, np.mean(hit), false))
            for contrast, values in figures.items():
                kept, found, false = np.mean(values, axis=0)
                print(f"{snr:4g} {name:10} {contrast:6} σ {kept:6.2f} {found:6.2f} {false:6.2f}")


def auc(score: NDArray[np.floating], positive: Bools) -> float:
    """The chance that a positive pixel scores above a negative one."""
    ranks = stats.rankdata(score)
    count = int(positive.sum())
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(score) - count)))


def uncertainty(models: list[str], slices: list[tuple[Floats, Bools]], replicas: int) -> None:
    print(
        "\nUncertainty against the true error inside the body. A single error is one draw from"
        "\nits distribution: even its true SD (RMS over other noise, “ceiling”) tells only so much."
        "\nρ: rank correlation with |error|; AUC: of the worst 5 % of errors; local: error as RMS"
        "\nover a Gaussian of SD 1.5 pixels."
    )
    print(
        f"{'SNR':>4} {'model':10} {'of':12} {'ρ':>6} {'AUC':>6} {'ρ local':>8} {'AUC local':>9} "
        f"{'flagged':>8}"
    )
    table = defaultdict(list)
    for name in models:
        method = open_filter(name, "cpu", "float32")
        for snr in SNRS:
            rows = defaultdict(list)
            for k, (truth, body) in enumerate(slices):
                sigma = float(truth[body].mean()) / snr
                level = np.full(truth.shape, sigma, dtype=np.float32)
                # The local mean goes through: noise-free means the mean of the magnitude.
                target = magnitude_mean(truth, sigma).astype(np.float32)
                run = on_slice(method, sigma)
                noisy = with_noise(truth, sigma, k)
                error = (run(noisy) - target) / sigma
                map_ = uncertainty_of_slice(noisy, level, method, number=0)
                others = [
                    np.square(run(with_noise(truth, sigma, 100 + k + 10 * r)) - target)
                    for r in range(replicas)
                ]
                ceiling = np.sqrt(ndimage.gaussian_filter(np.mean(others, axis=0), 0.7)) / sigma
                single = np.abs(error)[body]
                local = np.sqrt(ndimage.gaussian_filter(np.square(error), 1.5))[body]
                for of, scores in (("map", map_[body]), ("ceiling", ceiling[body])):
                    row = [float(stats.spearmanr(scores, e).statistic) for e in (single, local)]
                    worst = [auc(scores, e > np.quantile(e, 0.95)) for e in (single, local)]
                    flagged = float(np.mean(map_[body] > 1)) if of == "map" else np.nan
                    rows[of].append((row[0], worst[0], row[1], worst[1], flagged))
                bins = np.digitize(map_[body], np.arange(0.1, 1.05, 0.1))
                for b in np.unique(bins):
                    squares = np.square(error[body][bins == b])
                    table[name, int(b)].append((squares.sum(), squares.size))
            for of, values in rows.items():
                rho, area, rho_local, area_local, flagged = np.mean(values, axis=0)
                share = "" if np.isnan(flagged) else f"{100 * flagged:6.2f} %"
                print(
                    f"{snr:4g} {name:10} {of:12} {rho:6.2f} {area:6.2f} {rho_local:8.2f} "
                    f"{area_local:9.2f} {share:>8}"
                )
    print(
        "\nIs the uncertainty the size of the error? True RMS error (σ) by stated uncertainty (σ)"
    )
    for (name, b), sums in sorted(table.items()):
        total, count = np.sum(sums, axis=0)
        stated = f"{b / 10:.1f}–{(b + 1) / 10:.1f}" if b < 10 else "above 1"
        print(f"  {name:10} {stated:8} {np.sqrt(total / count):5.2f}   ({count:.0f} pixels)")


def artifacts(models: list[str], slices: list[tuple[Floats, Bools]], replicas: int) -> None:
    """One sampling pattern, several draws of noise: what stays the same is artifact."""
    print(
        f"\nError of triple-fast (compressed sensing, one pattern, {replicas} draws of noise) in %"
        "\nof the mean body signal. Artifact: streaks, aliasing, blur, bias of magnitude noise."
        "\nEach model with the engine's own estimate of the level, and with the true SD (known)."
    )
    print(f"{'SNR':>4} {'slice':>5} {'image':24} {'noise':>7} {'artifact':>8} {'total':>7}")
    protocol = PROTOCOLS["triple-fast"]
    sums = defaultdict(list)
    for snr in (8.0, 14.0):
        for k, (truth, body) in enumerate(slices):
            signal = float(truth[body].mean())
            sigma = signal / snr
            scans = undersampled_scans(
                truth, sigma, protocol.fraction, protocol.penalty, k, replicas
            )
            known = split_error(scans[:, None], truth[None], body[None]).noise
            read = estimate_noise(scans).sigma
            images = {"triple-fast": scans}
            for name in models:
                method = open_filter(name, "cpu", "float32")
                for level, how in ((read, ""), (known, ", known")):
                    map_ = np.full(scans.shape, level, dtype=np.float32)
                    images[f"with {name}{how}"] = method(scans, map_)
            for name, outputs in images.items():
                parts = split_error(outputs[:, None], truth[None], body[None])
                row = 100 / signal * np.array([parts.noise, parts.artifact, parts.total])
                sums[snr, name].append(row)
                print(f"{snr:4g} {k + 1:5} {name:24} {row[0]:7.2f} {row[1]:8.2f} {row[2]:7.2f}")
            print(f"{snr:4g} {k + 1:5} level read: {read / known:.2f} times the true SD")
    for (snr, name), values in sums.items():
        row = np.mean(values, axis=0)
        print(f"{snr:4g} {'mean':>5} {name:24} {row[0]:7.2f} {row[1]:8.2f} {row[2]:7.2f}")


def undersampled_scans(
    truth: Floats, sigma: float, fraction: float, penalty: float, seed: int, replicas: int
) -> Floats:
    """Magnitudes (replicas, rows, columns) of one undersampled scan, repeated with other noise."""
    rows, columns = truth.shape
    shared = np.random.default_rng((seed, 0))
    coils = torch.from_numpy(smooth_coils(rows, columns, count=COILS, rng=shared))
    phase = smooth_phase(rows, columns, rng=shared)
    mask = torch.from_numpy(variable_density_mask(rows, fraction=fraction, rng=shared))
    encoding = CartesianEncoding(coils, mask)
    clean = encoding.forward(torch.from_numpy((truth * phase).astype(np.complex64)))
    made = np.empty((replicas, rows, columns), dtype=np.float32)
    for r in range(replicas):
        rng = np.random.default_rng((seed, 1 + r))
        noise = rng.standard_normal((*clean.shape, 2), dtype=np.float32) * np.float32(sigma)
        samples = clean + encoding.sampled(torch.view_as_complex(torch.from_numpy(noise)))
        combined = fista(encoding, samples, penalty=penalty * sigma, steps=FISTA_STEPS, rng=rng)
        made[r] = combined.abs().numpy()
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["ddlr"])
    parser.add_argument("--slices", type=int, default=6)
    parser.add_argument("--replicas", type=int, default=6)
    parts = ["structure", "uncertainty", "artifacts"]
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    options = parser.parse_args()
    if options.replicas < 2 or options.slices < 1:
        parser.error("At least 1 slice and 2 replicas are needed.")
    slices = lumbar_slices(options.slices)
    print(f"{len(slices)} lumbar slices of {' × '.join(map(str, slices[0][0].shape))} pixels")
    if "structure" in options.only:
        structure(options.models, slices)
    if "uncertainty" in options.only:
        uncertainty(options.models, slices, options.replicas)
    if "artifacts" in options.only:
        artifacts(options.models, slices[: max(1, len(slices) // 2)], options.replicas)


if __name__ == "__main__":
    main()
