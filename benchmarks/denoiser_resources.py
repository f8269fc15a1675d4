"""How fast the processor multiplies, and how much memory a large series takes."""

from __future__ import annotations

import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import denoise_engine  # noqa: E402, F401 - sets the environment before torch is loaded

MEMORY_LIMIT = 2048  # MiB
LARGE = ((40, 640, 512), (1, 2048, 2048))

_MEASURE = """
import json, resource, sys, time
import numpy as np
from denoise_engine import denoise
from denoise_engine.evidence import gather_evidence
slices, rows, columns = map(int, sys.argv[1:4])
rng = np.random.default_rng(1)
y, x = np.mgrid[:rows, :columns].astype(np.float32)
inside = ((y / rows - 0.5) ** 2 + (x / columns - 0.5) ** 2) < 0.16
clean = np.where(inside, 100 + 40 * np.sin(x / 9) * np.cos(y / 7), 0).astype(np.float32)
volume = np.empty((slices, rows, columns), dtype=np.float32)
for k in range(slices):
    noise = 8 * rng.standard_normal((2, rows, columns), dtype=np.float32)
    volume[k] = np.hypot(clean + noise[0], noise[1])
start = time.perf_counter()
full = sys.argv[4] == "everything"
result = denoise(volume, noise="map" if full else None)
if full:
    gather_evidence(volume, result)
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"MiB": peak, "seconds": seconds, "backend": str(result.backend)}))
"""


def matmul_rate(dtype_name: str) -> float:
    """The best rate of square matrix products on this processor just now, operations a second."""
    import torch

    dtype = getattr(torch, dtype_name)
    best = 0.0
    for size in (1024, 2048, 4096):
        a, b = (torch.randn(size, size).to(dtype) for _ in range(2))
        a @ b
        start = time.perf_counter()
        a @ b
        best = max(best, 2 * size**3 / (time.perf_counter() - start))
    return best


def share_of_products(
    run: Callable[[], object], work: float, dtype_name: str, rounds: int = 15
) -> dict[str, float]:
    """How near a network comes to the rate of matrix products, the two measured in turns.

    Both rates vary with whatever else the machine does, so that neither is taken alone: the share
    of each round is of the product measured beside it, and the median over the rounds counts.
    """
    run()
    shares, rates = [], []
    for _ in range(rounds):
        best = matmul_rate(dtype_name)
        start = time.perf_counter()
        run()
        rates.append(work / (time.perf_counter() - start))
        shares.append(rates[-1] / best)
    return {
        "median": statistics.median(shares),
        "best": max(shares),
        "operations a second": statistics.median(rates),
    }


def operations(rows: int, columns: int) -> float:
    """Of a dDLR: 22 convolutions of 48 × 48 × 9 and two transforms of 49 × 49, twice each."""
    return 2.0 * (rows + 6) * (columns + 6) * (22 * 48 * 48 * 9 + 2 * 49 * 49)


def large_series() -> list[dict[str, Any]]:
    """Peak memory of a fresh process that reads the noise of a large series and denoises it.

    Once as by default, and once with everything: a noise map and the evidence.
    """
    found: list[dict[str, Any]] = []
    for shape, how in itertools.product(LARGE, ("default", "everything")):
        done = subprocess.run(
            [sys.executable, "-c", _MEASURE, *map(str, shape), how],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        found.append({"shape": shape, "how": how, **json.loads(done.stdout.splitlines()[-1])})
    return found
