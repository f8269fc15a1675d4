"""Seconds a slice and PSNR of dDLR beside peers that use the same noise level, in one run.

    python benchmarks/denoiser.py [--slices N] [--repeats N]

Rician noise of known level is added to lumbar slices that no training has seen. Peers: wavelet
shrinkage (BayesShrink on undecimated Daubechies-4 wavelets, PyWavelets) and the untrained network,
which is sliding-DCT shrinkage. Times are medians; compare them as ratios within one run.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pywt
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

import denoise_engine  # noqa: E402, F401 - sets the environment before torch is loaded
from denoise_engine.ddlr.network import DDLR  # noqa: E402
from denoise_engine.metrics import body_mask, psnr, ssim  # noqa: E402
from denoise_engine.models import find_model, load_model  # noqa: E402

LUMBAR = ROOT / "readerstudy" / "demo" / "data" / "lumbar"
ROWS, COLUMNS = 384, 320
Slice = NDArray[np.float32]
Method = Callable[[Slice, float], Slice]


def lumbar_slices(count: int) -> list[Slice]:
    """The central slice of each volunteer, 384 × 320 around the spine."""
    slices = []
    for path in sorted(LUMBAR.glob("V0[1-6].npz"))[:count]:
        with np.load(path) as stored:
            volume = stored["volume"]
        slices.append(volume[len(volume) // 2, 96 : 96 + ROWS, 32 : 32 + COLUMNS])
    return [np.ascontiguousarray(s, dtype=np.float32) for s in slices]


def wavelet_shrinkage(image: Slice, sigma: float) -> Slice:
    """BayesShrink on the stationary wavelet transform, four levels.

    With normalised filters white noise halves its SD at every level.
    """
    coefficients = pywt.swt2(image, "db4", level=4, trim_approx=True, norm=True)
    for index in range(1, len(coefficients)):
        noise = sigma / 2 ** (len(coefficients) - index)
        shrunk = []
        for band in coefficients[index]:
            signal = np.sqrt(max(float(np.mean(band**2)) - noise**2, 1e-12))
            shrunk.append(pywt.threshold(band, noise**2 / signal, mode="soft"))
        coefficients[index] = tuple(shrunk)
    return np.asarray(pywt.iswt2(coefficients, "db4", norm=True), dtype=np.float32)


def network_method(network: DDLR, dtype: torch.dtype) -> Method:
    def run(image: Slice, sigma: float) -> Slice:
        with torch.inference_mode():
            level = torch.full((1, 1, 1, 1), sigma)
            out = network(torch.from_numpy(image)[None, None], level, dtype=dtype)
        return np.asarray(out[0, 0].numpy())

    return run


def matmul_rate(dtype: torch.dtype) -> float:
    """Floating-point operations a second of a large matrix product on this processor."""
    a = torch.randn(2048, 2048, dtype=torch.float32).to(dtype)
    a @ a
    times = []
    for _ in range(3):
        start = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - start)
    return 2 * 2048**3 / min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=1)
    arguments = parser.parse_args()
    trained = load_model(find_model("ddlr")).network
    methods: dict[str, Method] = {
        "input": lambda image, sigma: image,
        "wavelet": wavelet_shrinkage,
        "dct (start)": network_method(DDLR().eval(), torch.float32),
        "dDLR": network_method(trained, torch.float32),
        "dDLR bf16": network_method(trained, torch.bfloat16),
    }
    slices = lumbar_slices(arguments.slices)
    print(f"{len(slices)} lumbar slices of {ROWS} × {COLUMNS}, Rician noise of known level")
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}\n")
    warm = slices[0]
    for method in methods.values():
        method(warm, 5.0)
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    print(f"{'SNR':>4} {'method':12} {'PSNR':>7} {'SSIM':>6} {'above input':>12}")
    for snr in (5.0, 10.0, 20.0):
        table: dict[str, list[tuple[float, float]]] = {name: [] for name in methods}
        for k, clean in enumerate(slices):
            body = body_mask(clean[None])[0]
            sigma = float(clean[body].mean()) / snr
            rng = np.random.default_rng((k, round(snr)))
            real, imaginary = sigma * rng.standard_normal((2, *clean.shape))
            noisy = np.hypot(clean + real, imaginary).astype(np.float32)
            for name, method in methods.items():
                for _ in range(arguments.repeats):
                    start = time.perf_counter()
                    out = method(noisy, sigma)
                    seconds[name].append(time.perf_counter() - start)
                similarity = ssim(out[None], clean[None], body[None])
                table[name].append((psnr(out, clean, body), similarity))
        base = float(np.mean([p for p, _ in table["input"]]))
        for name, rows in table.items():
            p, s = np.mean(rows, axis=0)
            print(f"{snr:4g} {name:12} {p:7.2f} {s:6.3f} {p - base:+12.2f}")
    reference = statistics.median(seconds["dDLR"])
    print(f"\n{'method':12} {'s a slice':>10} {'of dDLR':>8}")
    for name in list(methods)[1:]:
        median = statistics.median(seconds[name])
        print(f"{name:12} {median:10.3f} {median / reference:8.2f}")
    # 22 convolutions of 48 × 48 × 9 and the two transforms of 49 × 49, two operations each.
    pixels = (ROWS + 6) * (COLUMNS + 6)
    operations = 2 * pixels * (22 * 48 * 48 * 9 + 2 * 49 * 49)
    for name, dtype in (("dDLR", torch.float32), ("dDLR bf16", torch.bfloat16)):
        floor = operations / matmul_rate(dtype)
        share = floor / statistics.median(seconds[name])
        print(
            f"{name}: {100 * share:.0f} % of this processor's matrix-product rate ({floor:.2f} s)"
        )


if __name__ == "__main__":
    main()
