"""How far two series of one volunteer lie apart, measured on the images.

Headers say where the scanner put the slices; a volunteer who moved between two acquisitions is
seen in the images alone. Phase correlation (Kuglin and Hines, IEEE Cybern Soc 1975:163) compares
the phases of the two spectra, so that other contrast, other scaling and smooth shading do not
matter. In the plane it is refined to fractions of a pixel; across the plane it finds whole slices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft

MOST_SLICES_APART = 2
# Noise fills the high frequencies: they are weighed down (SD of the weight, cycles a pixel).
PASS_BAND = 0.12
# Below this share of agreement the peak may be chance.
LEAST_PEAK = 0.1


@dataclass(frozen=True)
class Shift:
    """Of the second volume against the first, in voxels; `peak` is 1 for equal images."""

    slices: float
    rows: float
    columns: float
    peak: float

    @property
    def is_certain(self) -> bool:
        return self.peak >= LEAST_PEAK


def measure_shift(control: np.ndarray, other: np.ndarray) -> Shift:
    """Where the content of `control` [slices, rows, columns] lies in `other`, of the same shape.

    Raises ValueError for volumes of different shape.
    """
    if control.shape != other.shape or control.ndim != 3:
        raise ValueError("Both volumes must have the same slices, rows and columns.")
    first, second = _spectra(control), _spectra(other)
    weight = _weight(control.shape[1:])
    count = control.shape[0]
    reach = min(MOST_SLICES_APART, count - 1)
    best: tuple[float, int, np.ndarray] | None = None
    # The nearest first: repeated anatomy must not move a volunteer who lay still.
    for apart in sorted(range(-reach, reach + 1), key=abs):
        low, high = max(0, -apart), min(count, count - apart)
        cross = np.conj(first[low:high]) * second[low + apart : high + apart]
        size = np.abs(cross)
        phases = np.divide(cross, size, out=np.zeros_like(cross), where=size > 0).mean(axis=0)
        surface = fft.irfft2(phases * weight, s=control.shape[1:])
        highest = float(surface.max())
        if best is None or highest > best[0]:
            best = (highest, apart, surface)
    if best is None:
        raise ValueError("The volumes hold no slice.")
    highest, apart, surface = best
    row, column = np.unravel_index(int(np.argmax(surface)), surface.shape)
    return Shift(
        slices=float(apart),
        rows=_refined(surface[:, column], int(row)),
        columns=_refined(surface[row, :], int(column)),
        peak=highest / float(fft.irfft2(weight, s=control.shape[1:]).max()),
    )


def _spectra(volume: np.ndarray) -> np.ndarray:
    """Of every slice, its mean removed and its borders faded out."""
    slices = np.asarray(volume, dtype=np.float32)
    fading = np.outer(np.hanning(slices.shape[1] + 2)[1:-1], np.hanning(slices.shape[2] + 2)[1:-1])
    slices = (slices - slices.mean(axis=(1, 2), keepdims=True)) * fading.astype(np.float32)
    return np.asarray(fft.rfft2(slices))


def _weight(shape: tuple[int, ...]) -> np.ndarray:
    rows = fft.fftfreq(shape[0])[:, None]
    columns = fft.rfftfreq(shape[1])[None, :]
    return np.exp(-(rows**2 + columns**2) / (2 * PASS_BAND**2)).astype(np.float32)


def _refined(line: np.ndarray, at: int) -> float:
    """The top of the parabola through the logarithms of three values (the peak is Gaussian)."""
    size = len(line)
    three = [float(line[(at + step) % size]) for step in (-1, 0, 1)]
    offset = 0.0
    if min(three) > 0:
        before, here, after = np.log(three)
        bend = before - 2 * here + after
        if bend < 0:
            offset = float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5))
    place = at + offset
    return place - size if place > size / 2 else place
