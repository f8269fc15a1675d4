"""Images for the benchmark of denoisers: clean slices, noisy slices, and how the noise lies."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from denoise_engine.metrics import body_mask  # noqa: E402
from denoise_engine.noise.native_grid import resize_kspace  # noqa: E402
from denoise_engine.training.patches import rescale  # noqa: E402
from denoise_engine.training.sources import SOURCES, read_slices  # noqa: E402

Slice = NDArray[np.float32]
Complex = NDArray[np.complex128]
DEMO = ROOT / "readerstudy" / "demo" / "data" / "lumbar"
LEVELS = (5.0, 10.0, 20.0)
KINDS = ("Gaussian", "Rician")


@dataclass(frozen=True)
class Case:
    """One noisy slice, its truth, the noise SD (scalar or map), and where it is judged."""

    noisy: Slice
    clean: Slice
    sigma: Slice | float
    body: NDArray[np.bool_]


@dataclass(frozen=True)
class CleanSet:
    """Clean slices of one kind."""

    name: str
    what: str
    slices: list[Slice]


def lumbar(data: Path | None, count: int) -> CleanSet:
    """Central slices of the SPIDER patients, brought to 384 rows × 320 columns by cropping k-space.

    Without the data folder: the demo's slices of six of them, which are cropped to 576 × 384 and
    become 384 × 256.
    """
    folder = None if data is None else data / "anatomy" / "lumbar-spider-t2space"
    if folder is not None and folder.is_dir():
        import nibabel

        found = []
        for path in sorted(folder.glob("p*_image.nii.gz")):
            volume = np.asarray(nibabel.load(path).dataobj, dtype=np.float32)  # type: ignore[attr-defined]
            middle = np.ascontiguousarray(volume[len(volume) // 2].T)
            found.append(np.abs(resize_kspace(middle[None], (384, 320))[0]))
        return CleanSet(
            "lumbar", f"SPIDER, {len(found[:count])} patients, 384 × 320", found[:count]
        )
    found = []
    for path in sorted(DEMO.glob("V0[1-6].npz")):
        with np.load(path) as stored:
            middle = stored["volume"][len(stored["volume"]) // 2].astype(np.float32)
        found.append(rescale(middle, 2 / 3))
    what = f"SPIDER slices of the demo, {len(found[:count])} patients, 384 × 256"
    return CleanSet("lumbar", what, found[:count])


def kept_out(data: Path, count: int) -> list[CleanSet]:
    """Brain and knee slices that no training has seen."""
    sets = []
    for source in (s for s in SOURCES if s.held_out != "none"):
        slices = [s for s in read_slices(data, source, held_out=True) if min(s.shape) >= 64]
        chosen = slices[:: max(1, len(slices) // count)][:count]
        what = f"{source.path}, {len(chosen)} slices kept out of training"
        sets.append(CleanSet(source.anatomy, what, chosen))
    return sets


def with_noise(clean: Slice, kind: str, snr: float, seed: int) -> Case:
    """Add white noise; the SNR is the mean of the body over the noise SD."""
    body = body_mask(clean[None])[0]
    sigma = float(clean[body].mean()) / snr
    rng = np.random.default_rng((seed, round(snr)))
    real, imaginary = sigma * rng.standard_normal((2, *clean.shape), dtype=np.float32)
    noisy = clean + real if kind == "Gaussian" else np.hypot(clean + real, imaginary)
    return Case(noisy.astype(np.float32), clean, sigma, body)


def coil_cases(data: Path, snr: float, repeats: int) -> Iterator[Case]:
    """The measured 16-channel brain slice with noise that these coils really made.

    Noise vectors over the 16 channels are drawn from the signal-free corners of k-space, kept
    whole, so that their levels and correlations are the scanner's; scaled, and added to the
    measured samples. Channels are whitened and combined with sensitivities from the smoothed
    images, so the noise SD of every pixel is known: a map.
    """
    images, white_noise, sensitivities = _whitened(data)
    norm = np.sqrt(np.sum(np.abs(sensitivities) ** 2, axis=0))
    clean = np.abs(_combine(images, sensitivities)).astype(np.float32)
    body = body_mask(clean[None])[0]
    # Whitened noise has variance 1 over both parts, the combination divides by the norm.
    unit_map = (np.sqrt(0.5) / norm).astype(np.float32)
    scale = float(clean[body].mean() / snr / np.sqrt(np.mean(unit_map[body] ** 2)))
    for k in range(repeats):
        rng = np.random.default_rng((k, round(snr), 16))
        drawn = white_noise[:, rng.integers(white_noise.shape[1], size=images.shape[1:])]
        noisy = _combine(images + scale * _to_images(drawn), sensitivities)
        yield Case(np.abs(noisy).astype(np.float32), clean, scale * unit_map, body)


def coil_snr(data: Path) -> float:
    """SNR that the measured slice has of its own: how far it can stand for the truth."""
    images, _, sensitivities = _whitened(data)
    norm = np.sqrt(np.sum(np.abs(sensitivities) ** 2, axis=0))
    clean = np.abs(_combine(images, sensitivities)).astype(np.float32)
    body = body_mask(clean[None])[0]
    return float(clean[body].mean() / np.sqrt(np.mean(0.5 / norm[body] ** 2)))


def _whitened(data: Path) -> tuple[Complex, Complex, Complex]:
    """Channel images and noise vectors, both whitened, and the sensitivities."""
    with np.load(data / "kspace" / "brain-gre-3t-16ch.npz") as stored:
        samples = stored["kspace"].astype(np.complex128)
    noise = np.concatenate(
        [samples[:, r, c].reshape(len(samples), -1) for r in _ENDS for c in _ENDS], axis=1
    )
    covariance = noise @ noise.conj().T / noise.shape[1]
    whiten = np.linalg.inv(np.linalg.cholesky(covariance))
    white = np.einsum("ij,jrc->irc", whiten, samples)
    white_noise = whiten @ noise
    images = _to_images(white)
    sensitivities = _sensitivities(images)
    return images, white_noise, sensitivities


_ENDS = (np.s_[:14], np.s_[-14:])


def _to_images(kspace: NDArray[np.complex128]) -> NDArray[np.complex128]:
    shifted = np.fft.ifftshift(kspace, axes=(1, 2))
    return np.fft.fftshift(np.fft.ifft2(shifted, norm="ortho"), axes=(1, 2))


def _sensitivities(images: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Smoothed images over their root sum of squares; never 0, so that air keeps its noise."""
    from scipy import ndimage

    smooth = np.stack(
        [
            ndimage.gaussian_filter(i.real, 6) + 1j * ndimage.gaussian_filter(i.imag, 6)
            for i in images
        ]
    )
    total = np.sqrt(np.sum(np.abs(smooth) ** 2, axis=0))
    return np.asarray(smooth / (total + 0.02 * total.max()))


def _combine(
    images: NDArray[np.complex128], sensitivities: NDArray[np.complex128]
) -> NDArray[np.complex128]:
    weight = np.sum(np.abs(sensitivities) ** 2, axis=0)
    return np.asarray(np.sum(sensitivities.conj() * images, axis=0) / weight)
