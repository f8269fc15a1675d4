"""Noise replicas: what the denoiser does to the noise of this very image."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from denoise_engine.metrics import BoolArray
from denoise_engine.noise.bias import signal_of_mean
from denoise_engine.strength import NoiseMoments, moments_of_replicas

Floats = NDArray[np.float32]
# Pieces (n, rows, columns) and their noise maps in, denoised pieces out.
DenoisePieces = Callable[[Floats, Floats], Floats]

_CORE = 24
_MARGIN = 8
_FEWEST_TILES, _MOST_TILES = 16, 32
_TILES_IN_AIR = 8
_PIXELS_A_TILE = 100_000  # of the volume: a larger one affords more tiles
_SLICES = 2
_REPLICAS = 2
_PROBE = 0.1  # of the noise SD
_SEED = 11


@dataclass(frozen=True)
class ReplicaMoments:
    """Noise moments in the body, once to choose a blend and once to check it, and in the air."""

    choose: NoiseMoments
    check: NoiseMoments
    air: NoiseMoments | None


@dataclass(frozen=True)
class _Piece:
    """Part of a slice, and how much each of its pixels counts."""

    where: tuple[int, slice, slice]
    weight: Floats


@dataclass(frozen=True)
class _Scene:
    """What replicas are drawn from: the image, its denoised version, its noise, the denoiser."""

    image: Floats
    denoised: Floats
    sigma: Floats
    run: DenoisePieces
    rng: np.random.Generator


def measure_replicas(
    image: Floats,
    denoised: Floats,
    sigma: Floats,
    body: BoolArray,
    denoise_pieces: DenoisePieces,
    *,
    whole_slices: bool = False,
) -> ReplicaMoments:
    """Measure noise before and after denoising on fresh replicas of the noise.

    The denoised image stands in for the noise-free one: complex noise is added to it, the magnitude
    taken and denoised again, in a few tiles spread over the body and, if there is any, the air. The
    stand-in lacks the finest structure, which makes denoising look stronger than it is, by 10 to
    20 % of what it leaves of the noise. So the covariance of the noise before and after is measured
    on the image itself: by Stein's lemma it is the mean response to a small change, noise with
    noise. The variance afterwards is scaled by as much as the covariance differed.

    All variances are in units of the local noise variance, so that with a map no part of the image
    outweighs another. In the air there are none where the map is 0 there.

    The seed is fixed, so a repeated run gives the same answer.

    Parameters
    ----------
    image, denoised, sigma : ndarray of float32
        (slices, rows, columns): the volume, the same fully denoised, and its noise map.
    body : ndarray of bool
        Same shape.
    denoise_pieces : callable
        Denoises a stack of pieces of slices.
    whole_slices : bool
        For a method whose effect depends on the whole slice: measure on slices, not on tiles.

    References
    ----------
    Ramani S, Blu T, Unser M. Monte-Carlo SURE: a black-box optimization of regularization
    parameters for general denoising algorithms. IEEE Trans Image Process 2008;17:1540-1554.
    """
    scene = _Scene(image, denoised, sigma, denoise_pieces, np.random.default_rng(_SEED))
    pieces = _slices_with(body) if whole_slices else _tiles_in(body)
    choose = _corrected(_moments(scene, pieces), scene, pieces)
    check = _corrected(_moments(scene, pieces), scene, pieces)
    air_region = ~_grown(body)
    if air_region.mean() <= 0.01:
        return ReplicaMoments(choose, check, None)
    in_air = _slices_with(air_region) if whole_slices else _tiles_in(air_region, _TILES_IN_AIR)
    air = _moments(scene, in_air)
    return ReplicaMoments(choose, check, air if air.of_input > 0 else None)


def _moments(scene: _Scene, pieces: list[_Piece]) -> NoiseMoments:
    """Moments on replicas of the denoised image, in units of the noise that is there.

    A map makes every pixel count alike, as the network sees it.
    """
    level = np.stack([scene.sigma[piece.where] for piece in pieces])
    # The denoised image is a local mean; noise is added to the signal behind it.
    denoised = np.stack([scene.denoised[piece.where] for piece in pieces])
    clean = signal_of_mean(denoised, level).astype(np.float32)
    noisy = np.stack([_magnitude_with_noise(clean, level, scene.rng) for _ in range(_REPLICAS)])
    out = np.stack([scene.run(replica, level) for replica in noisy])
    return moments_of_replicas(
        _per_noise(noisy, level), _per_noise(out, level), _weights(pieces, level)
    )


def _corrected(moments: NoiseMoments, scene: _Scene, pieces: list[_Piece]) -> NoiseMoments:
    """Put the covariance in that is measured on the image itself."""
    image = np.stack([scene.image[piece.where] for piece in pieces])
    level = np.stack([scene.sigma[piece.where] for piece in pieces])
    weight = _weights(pieces, level)
    if not weight.any():
        return moments
    change = scene.rng.standard_normal(image.shape, dtype=np.float32)
    step = np.float32(_PROBE) * level * change
    answer = scene.run(image + step, level) - scene.run(image - step, level)
    response = _per_noise(answer, level) / (2 * _PROBE)
    covariance = float(np.average(change * response, weights=weight)) * moments.of_input
    if covariance <= 0 or moments.covariance <= 0:
        return moments
    return replace(
        moments,
        covariance=covariance,
        of_output=moments.of_output * covariance / moments.covariance,
    )


def _weights(pieces: list[_Piece], level: Floats) -> Floats:
    """How much each pixel counts: nothing where there is no noise."""
    return np.stack([piece.weight for piece in pieces]) * (level > 0)


def _per_noise(values: Floats, level: Floats) -> Floats:
    """In units of the noise; 0 where there is none."""
    where = np.broadcast_to(level > 0, values.shape)
    return np.divide(values, level, out=np.zeros_like(values), where=where)


def _magnitude_with_noise(clean: Floats, level: Floats, rng: np.random.Generator) -> Floats:
    real = clean + level * rng.standard_normal(clean.shape, dtype=np.float32)
    imaginary = level * rng.standard_normal(clean.shape, dtype=np.float32)
    return np.hypot(real, imaginary)


def _slices_with(region: BoolArray) -> list[_Piece]:
    """A few slices, evenly over those that show the region."""
    shown = np.flatnonzero(region.any(axis=(1, 2)))
    chosen = shown[_evenly(np.ones(len(shown)), _SLICES)]
    return [
        _Piece((int(k), slice(None), slice(None)), region[k].astype(np.float32)) for k in chosen
    ]


def _tiles_in(region: BoolArray, most: int = _MOST_TILES) -> list[_Piece]:
    """Tiles of one size, spread evenly over the pixels of a region.

    Their cores do not overlap, and the margin around a core does not count. A tile is taken with a
    chance that goes with its pixels in the region, so each counts alike.
    """
    slices, rows, columns = region.shape
    cores = [
        (k, r, c)
        for k in range(slices)
        for r in range(0, rows, _CORE)
        for c in range(0, columns, _CORE)
    ]
    sizes = [int(region[k, r : r + _CORE, c : c + _CORE].sum()) for k, r, c in cores]
    count = int(np.clip(region.size // _PIXELS_A_TILE, min(_FEWEST_TILES, most), most))
    return [_tile(region, *cores[index]) for index in _evenly(np.array(sizes), count)]


def _tile(region: BoolArray, k: int, row: int, column: int) -> _Piece:
    _, rows, columns = region.shape
    height, width = min(_CORE + 2 * _MARGIN, rows), min(_CORE + 2 * _MARGIN, columns)
    top = int(np.clip(row - _MARGIN, 0, rows - height))
    left = int(np.clip(column - _MARGIN, 0, columns - width))
    core = region[k, row : row + _CORE, column : column + _CORE]
    weight = np.zeros((height, width), dtype=np.float32)
    inside = (slice(row - top, row - top + _CORE), slice(column - left, column - left + _CORE))
    weight[inside] = core / core.sum()
    return _Piece((k, slice(top, top + height), slice(left, left + width)), weight)


def _evenly(sizes: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Indices at the middles of equal parts of the total size, none of them twice."""
    edges = np.cumsum(sizes)
    middles = (np.arange(count) + 0.5) / count * edges[-1]
    return np.unique(np.searchsorted(edges, middles, side="right"))


def _grown(body: BoolArray) -> BoolArray:
    return np.asarray(ndimage.binary_dilation(body, structure=np.ones((1, 3, 3)), iterations=6))
