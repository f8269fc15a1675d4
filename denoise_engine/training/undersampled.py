"""Pairs of clean and undersampled images, for a network that has met compressed sensing.

What compressed sensing leaves behind is not white noise: streaks along the phase encoding, blurred
texture, blocks of the wavelet grid. A network trained on white noise takes them for structure.
Here the accelerated scan is simulated in full (coils, random phase encodings, FISTA), as for the
demo's triple-fast arm, so that the network sees them beside the truth.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from denoise_engine.errors import TrainingDataError, UnusableVolumeError
from denoise_engine.noise import estimate_noise
from denoise_engine.simulation import simulate_acquisition
from denoise_engine.training.patches import CleanSlice

Floats = NDArray[np.float32]
_LOWEST, _HIGHEST = 6.0, 24.0  # SNR of the standard arm
_LARGEST = 400  # pixels either way; larger images only take longer to simulate


@dataclass(frozen=True)
class UndersampledPair:
    """Clean and reconstructed slice (rows, columns), body mean 1, and the noise SD read from it.

    ``sigma`` is what the blind estimate reads, as it will at the time of use: there is no better
    number then either.
    """

    clean: Floats
    degraded: Floats
    sigma: float


def simulate_pairs(
    pool: list[CleanSlice],
    *,
    count: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> list[UndersampledPair]:
    """Simulate triple-fast scans of slices drawn from the pool.

    Parameters
    ----------
    pool : list of CleanSlice
        Clean slices, body mean 1.
    count : int
        Number of pairs.
    seed : int
        Decides slices, turns, SNR, coils, masks and noise.
    progress : callable, optional
        Called with (pairs done, pairs in all).

    Raises
    ------
    TrainingDataError
        If no slice of the pool is clean enough.
    """
    usable = [c for c in pool if c.highest_snr > _LOWEST and max(c.image.shape) <= _LARGEST]
    if not usable:
        raise TrainingDataError("No training image is clean enough to simulate a scan from it.")
    rng = np.random.default_rng((seed, 77))
    pairs: list[UndersampledPair] = []
    while len(pairs) < count:
        chosen = usable[rng.integers(len(usable))]
        # Any direction can be the phase encoding.
        clean = np.ascontiguousarray(np.rot90(chosen.image, int(rng.integers(4))))
        highest = min(_HIGHEST, chosen.highest_snr)
        snr = float(np.exp(rng.uniform(np.log(_LOWEST), np.log(highest))))
        scan = simulate_acquisition(
            clean[None], protocol="triple-fast", snr=snr, seed=int(rng.integers(1 << 30))
        ).volume
        try:
            sigma = estimate_noise(scan).sigma
        except UnusableVolumeError:
            continue
        if sigma > 0:
            pairs.append(UndersampledPair(clean, scan[0], sigma))
            if progress is not None:
                progress(len(pairs), count)
    return pairs


def save_pairs(pairs: list[UndersampledPair], path: Path) -> None:
    """Keep the pairs, so that a resumed training need not simulate them again."""
    arrays: dict[str, NDArray[np.generic]] = {"sigma": np.array([p.sigma for p in pairs])}
    for k, pair in enumerate(pairs):
        arrays[f"clean{k}"] = pair.clean
        arrays[f"degraded{k}"] = pair.degraded
    partial = path.with_name(path.stem + ".partial.npz")
    np.savez(partial, allow_pickle=False, **arrays)
    partial.replace(path)


def read_pairs(path: Path) -> list[UndersampledPair]:
    """Read what :func:`save_pairs` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        return [
            UndersampledPair(stored[f"clean{k}"], stored[f"degraded{k}"], float(sigma))
            for k, sigma in enumerate(stored["sigma"])
        ]
