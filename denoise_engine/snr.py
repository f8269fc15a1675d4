"""The signal-to-noise ratio of a volume, held against the range that a method was trained for."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from denoise_engine.errors import NoiseOutOfRangeError
from denoise_engine.metrics import BoolArray

Floats = NDArray[np.float32]

# How far outside the range of its training a network is still run, with a warning.
_TOLERANCE = 1.5


@dataclass(frozen=True)
class SnrInBody:
    """Mean body signal over the noise: at its median level, and where it is strong and weak.

    The cards count SNR so. ``lowest`` and ``highest`` leave a twentieth of the body on either side;
    without a noise map all three are one.
    """

    typical: float
    lowest: float
    highest: float

    def within(self, trained: tuple[float, float]) -> bool:
        return trained[0] <= min(self.lowest, self.typical) and (
            max(self.highest, self.typical) <= trained[1]
        )


def snr_in_body(image: Floats, sigma: Floats, body: BoolArray) -> SnrInBody | None:
    """Measure it on (slices, rows, columns) with a noise map; None where there is no noise."""
    noise = sigma[body]
    level = float(np.median(noise)) if noise.size else 0.0
    if level <= 0:
        return None
    signal = float(image[body].mean())
    weak, strong = np.percentile(noise[noise > 0], (5, 95))
    return SnrInBody(signal / level, signal / float(strong), signal / float(weak))


def range_warnings(
    image: Floats, sigma: Floats, body: BoolArray, trained: tuple[float, float] | None
) -> list[str]:
    """Warn near the edge of what a network was trained for; refuse well beyond it.

    Raises
    ------
    NoiseOutOfRangeError
        At the median noise level the SNR lies outside by more than half.
    """
    snr = None if trained is None else snr_in_body(image, sigma, body)
    if trained is None or snr is None or snr.within(trained):
        return []
    lowest, highest = trained
    known = f"this model was trained for {lowest:g} to {highest:g} times"
    if lowest <= snr.typical <= highest:
        local = image[body].mean() / np.maximum(sigma[body], np.finfo(np.float32).tiny)
        outside = float(np.mean((local < lowest) | (local > highest)))
        return [
            f"The noise varies: the mean body signal is {snr.lowest:.1f} to {snr.highest:.1f} "
            f"times the noise, and {known}; {outside:.0%} of the body lies outside. Judge the "
            "result there with more care."
        ]
    said = f"The mean body signal is {snr.typical:.1f} times the noise; {known}"
    if lowest / _TOLERANCE <= snr.typical <= highest * _TOLERANCE:
        return [f"{said}. Judge the result with more care."]
    raise NoiseOutOfRangeError(f"{said} and is not valid so far outside.")
