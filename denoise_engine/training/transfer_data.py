"""What a transfer network is shown: patches of heads, degraded by the forward model.

A batch depends on the seed and the step alone. Each patch is cut from a head of the training part
with a few slices more at both ends, degraded, interpolated, and then cut to size, so that neither
the slice profile nor the interpolation meets a border that the head does not have.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from denoise_engine.errors import TrainingDataError
from denoise_engine.transfer.forward import Degradation, Tissues, degrade
from denoise_engine.transfer.grids import interpolate
from denoise_engine.transfer.heads import Head, typical_intensity
from denoise_engine.transfer.pairs import RegisteredPair

Floats = NDArray[np.float32]

_MARGIN = 2  # thick slices at either end
_TRIES = 30
# How often slices lie along each axis of a head: axial ones, as most protocols have them, twice.
_SHARES = (2.0, 1.0, 1.0)


@dataclass(frozen=True)
class TransferBatch:
    """Patches of one factor.

    Attributes
    ----------
    factor : int
    thick : Tensor
        (batch, 1, slices, rows, columns), intensities about 1.
    cubic, target : Tensor
        (batch, 1, factor · slices, rows, columns): interpolation, and the head itself.
    """

    factor: int
    thick: Tensor
    cubic: Tensor
    target: Tensor

    def to(self, device: torch.device) -> "TransferBatch":
        """Return the same patches on a device."""
        return TransferBatch(
            self.factor, self.thick.to(device), self.cubic.to(device), self.target.to(device)
        )


@dataclass(frozen=True)
class Range:
    """What the settings of the forward model are drawn from.

    ``unchanged`` is the share of scans whose contrast stays as it is.
    """

    thickness: tuple[float, float] = (0.75, 1.05)
    blur: tuple[float, float] = (0.0, 1.6)
    contrast: tuple[float, float] = (0.6, 1.0)
    unchanged: float = 0.6
    snr: tuple[float, float] = (12.0, 80.0)

    def draw(self, factor: int, rng: np.random.Generator) -> Degradation:
        """Return the settings of one scan with slices ``factor`` times as far apart.

        Thickness, blur (in half of the scans) and contrast are drawn evenly, the SNR evenly on a
        logarithmic scale: thickness as a share of the spacing, blur in pixels.

        Raises
        ------
        SimulationError
            A factor outside 1 to 8, or bounds that the forward model does not allow.
        """
        kept = 1.0 if rng.random() < self.unchanged else float(rng.uniform(*self.contrast))
        blur = float(rng.uniform(*self.blur)) if rng.random() < 0.5 else 0.0
        return Degradation(
            factor=factor,
            thickness=float(rng.uniform(*self.thickness)),
            blur=blur,
            contrast=kept,
            snr=float(np.exp(rng.uniform(*np.log(self.snr)))),
        )


@dataclass(frozen=True)
class FieldRange:
    """What the scan at 3 T of a head at 7 T is drawn from: blur in all three directions."""

    blur: tuple[float, float] = (1.1, 2.0)
    contrast: tuple[float, float] = (0.7, 0.95)
    snr: tuple[float, float] = (12.0, 40.0)

    def draw(self, factor: int, rng: np.random.Generator) -> Degradation:
        """Return the settings of one scan; blur in voxels, the same in all directions.

        Raises
        ------
        SimulationError
            A factor outside 1 to 8, or bounds that the forward model does not allow.
        """
        blur = float(rng.uniform(*self.blur))
        return Degradation(
            factor=factor,
            blur=blur,
            depth_blur=blur,
            contrast=float(rng.uniform(*self.contrast)),
            snr=float(np.exp(rng.uniform(*np.log(self.snr)))),
        )


def ranges_for(factors: Sequence[int]) -> Range | FieldRange:
    """Return what a network for these factors is trained on: thick slices, or the lower field."""
    return FieldRange() if tuple(factors) == (1,) else Range()


@dataclass(frozen=True)
class _Pool:
    """A head with slices along one of its axes, intensities about 1."""

    volume: Floats
    tissues: Tissues
    weight: float


class PatchSampler:
    """Draws batches.

    Parameters
    ----------
    heads : sequence of Head
        Of the training part.
    seed : int
    factors : sequence of int
    patches : int
        A batch.
    size : int
        Rows and columns of a patch, a multiple of 8; along the slices it is as long.
    ranges : Range or FieldRange
    pairs : sequence of RegisteredPair
        Real pairs, each drawn as often as a head. All must be of these factors, and no smaller
        than a patch.

    Raises
    ------
    TrainingDataError
        A head that is kept out of training, a patch of another size, a pair that cannot be used
        (by name), or nothing to train a factor on.
    """

    def __init__(
        self,
        heads: Sequence[Head],
        *,
        seed: int,
        factors: Sequence[int] = (4, 8),
        patches: int = 2,
        size: int = 48,
        ranges: Range | FieldRange | None = None,
        pairs: Sequence[RegisteredPair] = (),
    ) -> None:
        for head in heads:
            if head.source.part != "train":
                raise TrainingDataError(f"“{head.source.path}” is kept out of training.")
        if size % 8:
            raise TrainingDataError(f"A patch must measure a multiple of 8, not {size}.")
        self._seed, self._factors = seed, tuple(factors)
        self._patches, self._size = patches, size
        self._ranges = ranges if ranges is not None else Range()
        longest = size + 2 * _MARGIN * max(self._factors)
        self._pools = [pool for head in heads for pool in _pools_of(head, (longest, size, size))]
        for pair in pairs:
            _check_pair(pair, self._factors, size)
        self.pairs = tuple(pairs)
        missing = [f for f in self._factors if all(pair.factor != f for pair in self.pairs)]
        if not self._pools and missing:
            raise TrainingDataError(
                "There is no head and no pair to train on: for "
                f"{_in_words(missing)} slices to each one."
                if self.pairs
                else "There is no head and no pair to train on."
            )

    def batch(self, step: int) -> TransferBatch:
        """Return the batch of a step."""
        rng = np.random.default_rng((self._seed, step))
        factor = self._factors[step % len(self._factors)]
        drawn = [self._draw(factor, rng) for _ in range(self._patches)]
        stacked = [torch.from_numpy(np.stack(part)[:, None]) for part in zip(*drawn, strict=True)]
        return TransferBatch(factor, *stacked)

    def _draw(self, factor: int, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
        heads = sum(pool.weight for pool in self._pools)
        pairs = [pair for pair in self.pairs if pair.factor == factor]
        real = len(pairs) * sum(_SHARES)
        if pairs and rng.random() * (heads + real) >= heads:
            return self._from_pair(pairs[int(rng.integers(len(pairs)))], rng)
        weights = np.array([pool.weight for pool in self._pools])
        pool = self._pools[int(rng.choice(len(self._pools), p=weights / weights.sum()))]
        slices = self._size // factor
        shape = ((slices + 2 * _MARGIN) * factor, self._size, self._size)
        thin = _turned(_with_signal(pool.volume, shape, rng), rng)
        scale = float(rng.uniform(0.9, 1.1))
        tissues = replace(
            pool.tissues, grey=pool.tissues.grey * scale, white=pool.tissues.white * scale
        )
        thin = thin * np.float32(scale)
        thick = degrade(thin, self._ranges.draw(factor, rng), tissues, rng)
        cubic = interpolate(thick, factor)
        inner, outer = slice(_MARGIN, -_MARGIN), slice(_MARGIN * factor, -_MARGIN * factor)
        return thick[inner], cubic[outer], thin[outer]

    def _from_pair(
        self, pair: RegisteredPair, rng: np.random.Generator
    ) -> tuple[Floats, Floats, Floats]:
        slices = self._size // pair.factor
        corner = [
            int(rng.integers(0, total - wanted + 1))
            for total, wanted in zip(pair.low.shape, (slices, self._size, self._size), strict=True)
        ]
        k, i, j = corner
        rows, columns = slice(i, i + self._size), slice(j, j + self._size)
        fine = slice(k * pair.factor, (k + slices) * pair.factor)
        seed = int(rng.integers(2**31))
        parts = (
            pair.low[k : k + slices, rows, columns],
            pair.cubic[fine, rows, columns],
            pair.high[fine, rows, columns],
        )
        thick, cubic, thin = (_turned(part, np.random.default_rng(seed)) for part in parts)
        return thick, cubic, thin


def _check_pair(pair: RegisteredPair, factors: Sequence[int], size: int) -> None:
    """Refuse a pair that the network is not for, or that is smaller than a patch."""
    if pair.factor not in factors:
        raise TrainingDataError(
            f"“{pair.name}” has {pair.factor} high slices for each low one; this network is "
            f"trained for {_in_words(factors)}. Give a folder without this pair."
        )
    wanted = (size // pair.factor, size, size)
    if any(total < least for total, least in zip(pair.low.shape, wanted, strict=True)):
        raise TrainingDataError(
            f"“{pair.name}” measures {_times(pair.low.shape)} (slices × rows × columns, the low "
            f"one), less than the {_times(wanted)} of a patch. Give a folder without this pair."
        )


def _in_words(factors: Sequence[int]) -> str:
    return " or ".join(str(factor) for factor in factors)


def _times(shape: Sequence[int]) -> str:
    return " × ".join(str(n) for n in shape)


def _pools_of(head: Head, shape: tuple[int, ...]) -> list[_Pool]:
    """Slices along each axis; left out are those along which a head is shorter than a patch."""
    scale = 1 / typical_intensity(head.volume)
    volume = head.volume * np.float32(scale)
    tissues = Tissues(head.tissues.grey * scale, head.tissues.white * scale)
    pools = [
        _Pool(np.moveaxis(volume, axis, 0), tissues, head.source.weight * share)
        for axis, share in enumerate(_SHARES)
    ]
    return [
        pool
        for pool in pools
        if all(n >= wanted for n, wanted in zip(pool.volume.shape, shape, strict=True))
    ]


def _with_signal(volume: Floats, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Cut a patch that is not mostly air."""
    if any(total < wanted for total, wanted in zip(volume.shape, shape, strict=True)):
        raise TrainingDataError(f"A head of {volume.shape} is smaller than a patch of {shape}.")
    patch = volume[tuple(slice(0, wanted) for wanted in shape)]
    for _ in range(_TRIES):
        corner = [
            int(rng.integers(0, total - wanted + 1))
            for total, wanted in zip(volume.shape, shape, strict=True)
        ]
        patch = volume[tuple(slice(c, c + w) for c, w in zip(corner, shape, strict=True))]
        if float((patch[::4, ::4, ::4] > 0.3).mean()) > 0.5:
            break
    return patch


def _turned(patch: Floats, rng: np.random.Generator) -> Floats:
    """Mirror along any axis, and swap rows and columns: no orientation is special."""
    flips = rng.random(3) < 0.5
    patch = patch[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
    if rng.random() < 0.5:
        patch = patch.swapaxes(1, 2)
    return np.ascontiguousarray(patch, dtype=np.float32)
