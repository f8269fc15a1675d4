"""Noise replicas: what the denoiser does to the noise of this very image."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from denoise_engine.metrics import BoolArray
from denoise_engine.strength import NoiseMoments, moments_of_replicas

Floats = NDArray[np.float32]
# Tiles (n, rows, columns) and their noise maps in, denoised tiles out.
DenoiseTiles = Callable[[Floats, Floats], Floats]

_TILE = 64
_MARGIN = 8
_FEWEST_TILES, _MOST_TILES = 2, 5
_PIXELS_A_TILE = 100_000  # of the volume: a larger one affords more tiles
_REPLICAS = 3
_SEED = 11


@dataclass(frozen=True)
class ReplicaMoments:
    """Noise moments in the body, once to choose a blend and once to check it, and in the air."""

    choose: NoiseMoments
    check: NoiseMoments
    air: NoiseMoments | None


def measure_replicas(
    denoised: Floats, sigma: Floats, body: BoolArray, denoise_tiles: DenoiseTiles
) -> ReplicaMoments:
    """Measure noise before and after denoising on fresh replicas of the noise.

    The denoised image stands in for the noise-free one. Complex noise is added to it, the magnitude
    taken and denoised again, several times, in a few tiles of the body and, if there is any, of the
    air. The seed is fixed, so a repeated run gives the same answer.

    Parameters
    ----------
    denoised, sigma : ndarray of float32
        (slices, rows, columns): the fully denoised volume and its noise map.
    body : ndarray of bool
        Same shape.
    denoise_tiles : callable
        Denoises a stack of tiles.
    """
    rng = np.random.default_rng(_SEED)
    # The mean square of Rician data exceeds the signal's; take it off before noise is added again.
    signal = np.sqrt(np.maximum(np.square(denoised) - np.pi / 2 * np.square(sigma), 0))
    corners = _tile_corners(body, rng)
    choose = _moments(signal, sigma, body, corners, denoise_tiles, rng)
    check = _moments(signal, sigma, body, corners, denoise_tiles, rng)
    air_region = ~_grown(body)
    air = None
    if air_region.mean() > 0.01:
        air_corners = _tile_corners(air_region, rng)
        air = _moments(signal, sigma, air_region, air_corners, denoise_tiles, rng)
    return ReplicaMoments(choose, check, air)


def _moments(
    signal: Floats,
    sigma: Floats,
    region: BoolArray,
    corners: list[tuple[int, int, int]],
    denoise_tiles: DenoiseTiles,
    rng: np.random.Generator,
) -> NoiseMoments:
    size = _tile_size(signal)
    clean = np.stack([signal[k, r : r + size[0], c : c + size[1]] for k, r, c in corners])
    level = np.stack([sigma[k, r : r + size[0], c : c + size[1]] for k, r, c in corners])
    where = np.stack([region[k, r : r + size[0], c : c + size[1]] for k, r, c in corners])
    inner = np.zeros_like(where)
    inner[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN] = True
    if (where & inner).any():
        where &= inner
    noisy = np.stack([_magnitude_with_noise(clean, level, rng) for _ in range(_REPLICAS)])
    out = np.stack([denoise_tiles(replica, level) for replica in noisy])
    return moments_of_replicas(noisy, out, where)


def _magnitude_with_noise(clean: Floats, level: Floats, rng: np.random.Generator) -> Floats:
    real = clean + level * rng.standard_normal(clean.shape, dtype=np.float32)
    imaginary = level * rng.standard_normal(clean.shape, dtype=np.float32)
    return np.hypot(real, imaginary)


def _tile_corners(region: BoolArray, rng: np.random.Generator) -> list[tuple[int, int, int]]:
    """Tiles centred on pixels drawn from a region, over all slices."""
    _, rows, columns = region.shape
    height, width = _tile_size(region)
    pixels = np.flatnonzero(region)
    corners = []
    count = int(np.clip(region.size // _PIXELS_A_TILE, _FEWEST_TILES, _MOST_TILES))
    for flat in rng.choice(pixels, size=count):
        k, r, c = np.unravel_index(flat, region.shape)
        row = int(np.clip(r - height // 2, 0, rows - height))
        column = int(np.clip(c - width // 2, 0, columns - width))
        corners.append((int(k), row, column))
    return corners


def _tile_size(volume: NDArray[np.generic]) -> tuple[int, int]:
    return min(_TILE, volume.shape[1]), min(_TILE, volume.shape[2])


def _grown(body: BoolArray) -> BoolArray:
    from scipy import ndimage

    return np.asarray(ndimage.binary_dilation(body, structure=np.ones((1, 3, 3)), iterations=6))
