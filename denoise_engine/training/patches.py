"""From slices to training patches: scales, contrasts, and the noise that is added."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage

from denoise_engine.errors import TrainingDataError, UnusableVolumeError
from denoise_engine.metrics import body_mask
from denoise_engine.noise import estimate_noise
from denoise_engine.noise.bias import magnitude_mean
from denoise_engine.noise.native_grid import resize_kspace
from denoise_engine.training.sources import SOURCES, Source, read_slices

Floats = NDArray[np.float32]

# Fractions of the native matrix. Down-sampled images are low-noise targets; the slightly enlarged
# ones stand for scanners that interpolate.
SCALES = (1.5, 1.0, 0.75, 0.6, 0.5)
LOWEST_SNR, HIGHEST_SNR = 3.0, 40.0
# The noise that is added is at least so many times the noise that the image has of its own: a
# network that is shown noisy targets at high SNR learns to leave the noise where it is.
_ABOVE_OWN_NOISE = 1.5


@dataclass(frozen=True)
class CleanSlice:
    """A slice (rows, columns), body mean 1, and the highest SNR at which it is a fair target."""

    image: Floats
    highest_snr: float = HIGHEST_SNR


@dataclass(frozen=True)
class Batch:
    """Patches (n, 1, size, size): noisy, target, and the noise map that belongs to them."""

    noisy: Floats
    target: Floats
    sigma: Floats


def normalise(image: Floats) -> Floats | None:
    """Scale a slice so that the mean of its body is 1; None if it shows no body."""
    try:
        inside = body_mask(image[None])[0]
    except UnusableVolumeError:
        return None
    if inside.mean() < 0.05:
        return None
    return np.asarray(image / image[inside].mean(), dtype=np.float32)


def rescale(image: Floats, factor: float) -> Floats:
    """Resample a slice: smaller by cropping its k-space, as a scan of lower resolution; larger by
    bicubic interpolation.
    """
    if factor == 1.0:
        return image
    size = [max(2 * round(n * factor / 2), 8) for n in image.shape]
    if factor > 1:
        tensor = torch.from_numpy(image)[None, None]
        larger = F.interpolate(tensor, size=size, mode="bicubic", align_corners=False)
        return np.asarray(larger[0, 0].clamp_min(0).numpy(), dtype=np.float32)
    return np.abs(resize_kspace(image[None], (size[0], size[1]))[0])


def own_noise(image: Floats) -> float:
    """Noise SD that a slice itself has (body mean 1); infinite where it cannot be read."""
    try:
        return estimate_noise(image[None]).sigma
    except UnusableVolumeError:
        return np.inf


def highest_fair_snr(own: float, scale: float) -> float:
    """The SNR above which a slice's own noise would spoil it as a target; 0: it is no target.

    Parameters
    ----------
    own : float
        Noise SD at the native matrix, body mean 1.
    scale : float
        Fraction of the native matrix. Cropping k-space by f either way lowers the noise by f.
    """
    left = own * min(scale, 1.0)
    highest = min(HIGHEST_SNR, 1 / (_ABOVE_OWN_NOISE * max(left, 1e-6)))
    return highest if highest > 1.5 * LOWEST_SNR else 0.0


def load_pool(
    folder: Path,
    sources: Iterable[Source] = SOURCES,
    *,
    scales: tuple[float, ...] = SCALES,
    smallest: int = 96,
    progress: Callable[[str, int], None] | None = None,
) -> list[CleanSlice]:
    """Read every training slice at every scale, body mean 1; repeats share memory.

    Parameters
    ----------
    folder : Path
        Data folder.
    sources : iterable of Source
        What to read; parts held out are left out.
    scales : tuple of float
        Fractions of the native matrix.
    smallest : int
        Slices smaller than this either way are dropped.
    progress : callable, optional
        Called with the path and the number of slices after each source.

    Raises
    ------
    TrainingDataError
        If nothing usable was found.
    """
    pool: list[CleanSlice] = []
    for source in sources:
        count = 0
        for image in read_slices(folder, source, held_out=False):
            clean = normalise(image)
            if clean is None:
                continue
            count += 1
            own = own_noise(clean)
            for scale in scales:
                # Enlarging what is already interpolated teaches nothing.
                if scale > 1 and min(clean.shape) > 300:
                    continue
                scaled = rescale(clean, scale)
                if min(scaled.shape) < smallest:
                    continue
                highest = highest_fair_snr(own, scale)
                if highest > 0:
                    pool.extend([CleanSlice(scaled, highest)] * source.repeat)
        if progress is not None:
            progress(source.path, count)
    if not pool:
        raise TrainingDataError(f"No usable training image was found in “{folder}”.")
    return pool


class SlicePair(Protocol):
    """A slice, the same slice degraded, and the SD of the noise in the latter."""

    @property
    def clean(self) -> Floats: ...

    @property
    def degraded(self) -> Floats: ...

    @property
    def sigma(self) -> float: ...


class PatchSampler:
    """Draws training batches; the batch of a step depends on the seed and the step alone.

    Parameters
    ----------
    pool : list of CleanSlice
        Clean slices, body mean 1.
    seed : int
        Seed of the whole training.
    patches, size : int
        Patches a batch and their side in pixels.
    pairs : sequence of SlicePair
        Degraded slices whose truth is known, beside the noise that is added here.
    share : float
        Share of the patches that is taken from the pairs.
    """

    def __init__(
        self,
        pool: list[CleanSlice],
        *,
        seed: int,
        patches: int,
        size: int,
        pairs: Sequence[SlicePair] = (),
        share: float = 0.5,
    ) -> None:
        self._pool = pool
        self._seed = seed
        self._patches = patches
        self._size = size
        self._pairs = pairs
        self._share = share if pairs else 0.0
        areas = np.array([clean.image.size for clean in pool], dtype=np.float64)
        self._chances = np.sqrt(areas) / np.sqrt(areas).sum()

    def batch(self, step: int) -> Batch:
        rng = np.random.default_rng((self._seed, step))
        drawn = [self._draw(rng) for _ in range(self._patches)]
        noisy, target, sigma = (np.stack(part)[:, None] for part in zip(*drawn, strict=True))
        return Batch(noisy, target, sigma)

    def _draw(self, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
        if self._share and rng.random() < self._share:
            return self._draw_pair(rng)
        patch, highest_snr = self._crop(rng)
        clean, changed = self._change_contrast(patch, rng)
        sigma = self._noise_map(min(highest_snr / changed, HIGHEST_SNR), rng)
        return add_noise(clean, sigma, rng)

    def _draw_pair(self, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
        size = self._size
        pair = self._pairs[int(rng.integers(len(self._pairs)))]
        for _ in range(4):
            row = rng.integers(0, pair.clean.shape[0] - size + 1)
            column = rng.integers(0, pair.clean.shape[1] - size + 1)
            place = np.s_[row : row + size, column : column + size]
            if pair.clean[place].mean() > 0.25:
                break
        # Scaled, but neither inverted nor bent: that would change noise and streaks as well.
        factor = np.float32(rng.uniform(0.5, 1.5))
        turns, mirrored = int(rng.integers(4)), rng.random() < 0.5
        degraded, clean = (
            np.ascontiguousarray(np.rot90(p[:, ::-1] if mirrored else p, turns)) * factor
            for p in (pair.degraded[place], pair.clean[place])
        )
        sigma = np.full((size, size), pair.sigma * float(factor), dtype=np.float32)
        return degraded, clean, sigma

    def _crop(self, rng: np.random.Generator) -> tuple[Floats, float]:
        size = self._size
        for attempt in range(4):
            chosen = self._pool[rng.choice(len(self._pool), p=self._chances)]
            image = chosen.image
            row = rng.integers(0, image.shape[0] - size + 1)
            column = rng.integers(0, image.shape[1] - size + 1)
            patch = image[row : row + size, column : column + size]
            # Mostly tissue; air is easy and a little of it is enough.
            if patch.mean() > 0.25 or attempt == 3:
                break
        turned = np.rot90(patch, int(rng.integers(4)))
        mirrored = turned[:, ::-1] if rng.random() < 0.5 else turned
        return np.ascontiguousarray(mirrored), chosen.highest_snr

    @staticmethod
    def _change_contrast(patch: Floats, rng: np.random.Generator) -> tuple[Floats, float]:
        """Other contrasts of the same anatomy, and by how much the patch's own noise grew."""
        top = max(float(patch.max()), 0.1)
        factor = rng.uniform(0.5, 1.5)
        if rng.random() < 0.3:
            # Inverted contrast turns bright CSF dark and the other way round.
            patch = top - patch
        if rng.random() < 0.5:
            patch = top * np.power(patch / top, rng.uniform(0.6, 1.7))
        return np.asarray(patch * factor, dtype=np.float32), factor

    def _noise_map(self, highest_snr: float, rng: np.random.Generator) -> Floats:
        snr = np.exp(rng.uniform(np.log(LOWEST_SNR), np.log(max(highest_snr, 1.2 * LOWEST_SNR))))
        level = np.full((self._size, self._size), 1 / snr, dtype=np.float32)
        if rng.random() < 0.2:
            # Parallel imaging and surface coils: the noise changes smoothly over the image.
            rough = rng.standard_normal((4, 4))
            smooth = ndimage.zoom(rough, self._size / 4, order=3)
            level *= np.exp2(np.clip(smooth, -1, 1)).astype(np.float32)
        return level


def add_noise(
    clean: Floats, sigma: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """Add Gaussian, Rician or correlated noise to a clean patch.

    Returns
    -------
    noisy, target, sigma : ndarray
        The target of Rician noise is the Rician mean: its bias sits in the zero-frequency
        component, which the network passes on unchanged, and is taken out in a step of its own.
    """
    kind = rng.choice(("gaussian", "rician", "correlated"), p=(0.45, 0.3, 0.25))
    if kind == "gaussian":
        noise = rng.standard_normal(clean.shape, dtype=np.float32)
        return clean + sigma * noise, clean, sigma
    real = rng.standard_normal(clean.shape, dtype=np.float32)
    if kind == "correlated":
        return clean + sigma * colour(real, rng), clean, sigma
    imaginary = rng.standard_normal(clean.shape, dtype=np.float32)
    noisy = np.hypot(clean + sigma * real, sigma * imaginary)
    return noisy, magnitude_mean(np.maximum(clean, 0), sigma).astype(np.float32), sigma


def colour(white: Floats, rng: np.random.Generator) -> Floats:
    """Colour white noise as filtered, interpolated or undersampled scans do; SD stays 1.

    Two shapes of spectrum: a Gaussian fall-off, different along rows and columns (filters and
    mild interpolation), and a variable density along one axis (undersampling in which the outer
    phase encodings are sparse).
    """
    frequency = [np.fft.fftfreq(n) for n in white.shape]
    if rng.random() < 0.5:
        widths = rng.uniform(0.25, 0.8, size=2)
        gain = np.exp(-0.5 * (frequency[0][:, None] / widths[0]) ** 2) * np.exp(
            -0.5 * (frequency[1][None, :] / widths[1]) ** 2
        )
    else:
        density = 1 / (1 + (np.abs(frequency[0]) / rng.uniform(0.1, 0.4)) ** 2)
        floor = rng.uniform(0.1, 0.5)
        gain = np.broadcast_to((floor + (1 - floor) * density)[:, None], white.shape)
        gain = gain.T if rng.random() < 0.5 else gain
    coloured = np.fft.ifft2(np.fft.fft2(white) * gain).real
    return np.asarray(coloured / np.sqrt(np.mean(gain**2)), dtype=np.float32)
