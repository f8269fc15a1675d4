"""Is what was removed noise, or does it hold anatomy?

Noise has no edges, is spread evenly over fine and coarse detail, and averages out locally. Each of
these is measured on the removed noise (input − output) in units of the SD that noise would have
there, so that the dark parts of a magnitude image, where noise is squeezed, do not mislead.

A denoiser that works removes *less* at edges than in flat tissue, and little of the coarse
detail: every measure is therefore judged on its upper side only. The limits were set on brain and
lumbar images with noise of known level at SNR 5, 10 and 20: dDLR lies on the one side, blurring by
0.7 pixels and more on the other; ``benchmarks/evidence.py`` prints both.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy import ndimage, stats

from denoise_engine.evidence.expected_noise import standardised
from denoise_engine.metrics import BoolArray

Floats = NDArray[np.float32]

EDGE_CORRELATION_LIMIT = 0.25
EDGE_EXCESS_LIMIT = 1.4
BAND_EXCESS_LIMIT = 1.35
LOCAL_MEAN_LIMIT = 1.3
# A weighted mean of the removed noise this many SDs from zero. dDLR, which lets the coarse part of
# the noise through, does not reach it by chance; a method that removes white noise wholly does in
# one of 140,000 pixels, which is allowed for.
PLACE_LIMIT = 4.5
# Noise of a filtered or iteratively reconstructed image holds less fine than middle detail, along
# one axis at least: along the phase encoding after compressed sensing. White noise that dDLR
# removed from lumbar images has 0.84 to 1.3 here, that of the demo's triple-fast arms about 0.5,
# with single slices up to 0.95.
COLOURED_LIMIT = 0.8

_PLACE_SCALES = (1.0, 2.0)
_LOCAL_MEAN_SCALE = 4.0
_WINDOW, _STEP = 16, 8
_BANDS = (0.1, 0.2, 0.3, 0.4, 0.5)  # cycles a pixel
_MARGIN = 3
_ENOUGH_PIXELS = 400


@dataclass(frozen=True)
class StructureTest:
    """What the removed noise looks like.

    Attributes
    ----------
    edge_correlation : float or None
        Rank correlation, inside the body, of the local energy that was removed with the gradient of
        the output. Noise gives 0 or less.
    edge_excess : float or None
        Energy removed at the strongest edges (15 % of the body) over that in flat tissue (40 %).
    whiteness : float or None
        Flatness of the radial power spectrum of the removed noise above 0.1 cycles a pixel:
        geometric over arithmetic mean, 1 for white noise.
    band_excess : float or None
        Largest power in a band of frequencies, over that of noise of the level used. Above 1, more
        was removed than noise can account for.
    local_mean : float or None
        RMS of the removed noise averaged locally (Gaussian, SD 4 pixels), over what white noise of
        the level used would give. Large where tissue became brighter or darker.
    fine_over_middle : float or None
        Power removed at the finest detail along the rows or along the columns, whichever is less,
        over that at the middle. Low where the noise of the input is not white, as after compressed
        sensing, and where the level was taken too high.
    places : int
        Connected regions in which a weighted mean of the removed noise is too far from zero to be
        noise: small structure may be lost there.
    spectrum : tuple of float
        Power in each band, 1 for noise of the level used, from coarse to fine.
    passed : bool
        Whether nothing but noise seems to have been removed. False where the body is too small to
        tell.
    sentence : str
        The outcome for a radiologist.

    A figure is None where the body is too small to tell.
    """

    edge_correlation: float | None
    edge_excess: float | None
    whiteness: float | None
    band_excess: float | None
    local_mean: float | None
    fine_over_middle: float | None
    places: int
    spectrum: tuple[float, ...]
    passed: bool
    sentence: str

    @property
    def coloured(self) -> bool:
        """Whether noise was removed that was not white to begin with.

        Measured on networks; filters such as non-local means leave fine noise of their own accord.
        Not told where more was removed than noise: anatomy has little fine detail too.
        """
        if self.fine_over_middle is None or self.band_excess is None:
            return False
        return self.fine_over_middle < COLOURED_LIMIT and self.band_excess <= BAND_EXCESS_LIMIT

    def record(self) -> dict[str, Any]:
        """Return all figures as plain JSON values."""
        return {
            "edge_correlation": self.edge_correlation,
            "edge_excess": self.edge_excess,
            "whiteness": self.whiteness,
            "band_excess": self.band_excess,
            "local_mean": self.local_mean,
            "fine_over_middle": self.fine_over_middle,
            "places": self.places,
            "spectrum": list(self.spectrum),
            "passed": self.passed,
            "sentence": self.sentence,
        }


@dataclass
class RemovedNoise:
    """Gathers the figures of the structure test slice by slice, in constant memory."""

    _edge_correlation: list[tuple[float, int]] = field(default_factory=list)
    _edges: list[tuple[float, int]] = field(default_factory=list)
    _flat: list[tuple[float, int]] = field(default_factory=list)
    _local_mean: list[tuple[float, int]] = field(default_factory=list)
    _power: NDArray[np.float64] = field(default_factory=lambda: np.zeros((_WINDOW, _WINDOW)))
    _windows: int = 0
    _places: int = 0
    _chance_places: float = 0.0
    _removed_anything: bool = False

    def add(self, given: Floats, made: Floats, sigma: Floats, body: BoolArray) -> BoolArray:
        """Take in one slice.

        Parameters
        ----------
        given, made, sigma : ndarray of float32
            (rows, columns): input and output at full strength, and the noise SD.
        body : ndarray of bool
            (rows, columns).

        Returns
        -------
        ndarray of bool
            (rows, columns), where structure may have been removed.
        """
        if np.array_equal(given, made):
            return np.zeros(body.shape, dtype=np.bool_)
        self._removed_anything = True
        removed = standardised(given - made, made, sigma)
        # At its rim the body is half air, and the mask is no sharper than the image.
        inside = ndimage.binary_erosion(body, iterations=_MARGIN)
        means = _spot_means(removed)
        lost = _grown_peaks(means, body)
        self._places += int(ndimage.label(lost)[1])
        self._chance_places += _places_by_chance(means, body)
        self._add_spectrum(removed, inside)
        if inside.sum() >= _ENOUGH_PIXELS:
            self._add_edges(removed, made, sigma, inside)
            mean = ndimage.gaussian_filter(removed, _LOCAL_MEAN_SCALE)[inside]
            expected = _sd_of_weighted_mean(_LOCAL_MEAN_SCALE)
            self._local_mean.append((float(np.mean(np.square(mean))) / expected**2, mean.size))
        return lost

    def _add_edges(self, removed: Floats, made: Floats, sigma: Floats, inside: BoolArray) -> None:
        smooth = ndimage.gaussian_filter(made, 1.0)
        gradient = np.hypot(*np.gradient(smooth))[inside] / np.maximum(sigma[inside], 1e-12)
        energy = np.square(removed)
        local = ndimage.gaussian_filter(energy, 1.0)[inside]
        if np.ptp(gradient) > 0 and np.ptp(local) > 0:
            rank = float(stats.spearmanr(local, gradient).statistic)
            self._edge_correlation.append((rank, gradient.size))
        at_edge = gradient > np.quantile(gradient, 0.85)
        in_flat = gradient <= np.quantile(gradient, 0.4)
        for chosen, sums in ((at_edge, self._edges), (in_flat, self._flat)):
            values = energy[inside][chosen]
            if values.size:
                sums.append((float(values.mean()), values.size))

    def _add_spectrum(self, removed: Floats, inside: BoolArray) -> None:
        size = (_WINDOW, _WINDOW)
        if min(inside.shape) < _WINDOW:
            return
        # Row by row of windows, so that a large slice needs no more memory than a small one.
        filled = sliding_window_view(inside, size)[::_STEP, ::_STEP]
        windows = sliding_window_view(removed, size)[::_STEP, ::_STEP]
        taper = _taper()
        for within, row in zip(filled, windows, strict=True):
            chosen = row[within.mean(axis=(1, 2)) > 0.9]
            if len(chosen):
                power = np.square(np.abs(np.fft.fft2(chosen * taper)))
                self._power += power.sum(axis=0) / _WINDOW**2
                self._windows += len(chosen)

    def outcome(self) -> StructureTest:
        """Return the figures of all slices taken in, and what they say."""
        correlation = _pooled(self._edge_correlation)
        edges, flat = _pooled(self._edges), _pooled(self._flat)
        excess = edges / flat if edges is not None and flat else None
        squared = _pooled(self._local_mean)
        local_mean = None if squared is None else float(np.sqrt(squared))
        spectrum = _radial(self._power / self._windows) if self._windows else ()
        band_excess = max(spectrum) if spectrum else None
        figures = {
            "edge_correlation": correlation,
            "edge_excess": excess,
            "whiteness": _flatness(spectrum),
            "band_excess": band_excess,
            "local_mean": local_mean,
            "fine_over_middle": _fine_over_middle(self._power) if self._windows else None,
        }
        by_chance = self._chance_places + 3 * self._chance_places**0.5
        counted = self._places if self._places > by_chance else 0
        objections = _objections(correlation, excess, band_excess, local_mean, counted)
        return StructureTest(
            **{name: None if v is None else round(v, 4) for name, v in figures.items()},
            places=self._places,
            spectrum=tuple(round(value, 4) for value in spectrum),
            passed=not objections and (correlation is not None or not self._removed_anything),
            sentence=_sentence(self._removed_anything, correlation, objections),
        )


def judge_removed_noise(
    given: Floats, made: Floats, sigma: Floats, body: BoolArray
) -> StructureTest:
    """Test the noise that was removed from a volume for structure.

    Parameters
    ----------
    given, made, sigma : ndarray of float32
        (slices, rows, columns), on the grid that was denoised: input, output at full strength, and
        noise SD, in one unit.
    body : ndarray of bool
        Same shape.

    Returns
    -------
    StructureTest
    """
    gathered = RemovedNoise()
    for k in range(len(given)):
        gathered.add(given[k], made[k], sigma[k], body[k])
    return gathered.outcome()


def lost_structure(removed: Floats, body: BoolArray) -> BoolArray:
    """Where the removed noise, averaged as a small structure would be, is too large for noise.

    The matched filter of a small bright or dark spot of Gaussian shape, at two sizes.

    Parameters
    ----------
    removed : ndarray of float32
        (rows, columns), in units of the expected noise SD.
    body : ndarray of bool
        (rows, columns).

    Returns
    -------
    ndarray of bool
        (rows, columns), grown to the size of the spot.
    """
    return _grown_peaks(_spot_means(removed), body)


def _spot_means(removed: Floats) -> list[Floats]:
    """Weighted means at each size of spot, SD 1 where white noise was removed wholly."""
    # Beyond the border there is nothing: mirrored noise would count twice.
    return [
        ndimage.gaussian_filter(removed, scale, mode="constant") / _sd_of_weighted_mean(scale)
        for scale in _PLACE_SCALES
    ]


def _grown_peaks(means: list[Floats], body: BoolArray) -> BoolArray:
    found = np.zeros(body.shape, dtype=np.bool_)
    for mean, scale in zip(means, _PLACE_SCALES, strict=True):
        peaks = body & (np.abs(mean) > PLACE_LIMIT)
        if peaks.any():
            found |= ndimage.binary_dilation(peaks, iterations=round(scale))
    return found & body


def _places_by_chance(means: list[Floats], body: BoolArray) -> float:
    """How many places Gaussian noise of the SD seen would give."""
    if not body.any():
        return 0.0
    # The median is not moved by the few places that are no noise.
    spread = max(float(np.median(np.abs(mean[body]))) / 0.6745 for mean in means)
    if spread == 0:
        return 0.0
    return float(body.sum() * 2 * stats.norm.sf(PLACE_LIMIT / min(spread, 1.0)))


def _sd_of_weighted_mean(scale: float) -> float:
    """SD of white noise of SD 1 after a Gaussian filter."""
    spot = np.zeros(2 * round(5 * scale) + 1)
    spot[len(spot) // 2] = 1
    return float(np.sum(np.square(ndimage.gaussian_filter1d(spot, scale))))


def _taper() -> NDArray[np.float64]:
    """A Hann window in two dimensions that keeps the power of white noise."""
    line = np.hanning(_WINDOW + 2)[1:-1]
    window = np.outer(line, line)
    return np.asarray(window / np.sqrt(np.mean(np.square(window))))


def _radial(power: NDArray[np.float64]) -> tuple[float, ...]:
    lines = np.fft.fftfreq(_WINDOW)
    band = np.digitize(np.hypot(lines[:, None], lines[None, :]), _BANDS)
    return tuple(float(power[band == k].mean()) for k in range(len(_BANDS) + 1))


def _fine_over_middle(power: NDArray[np.float64]) -> float | None:
    lines = np.abs(np.fft.fftfreq(_WINDOW))
    down, across = lines[:, None], lines[None, :]
    radius = np.hypot(down, across)
    middle = float(power[(radius > 0.3) & (radius < 0.4)].mean())
    fine = [float(power[(a > 0.4) & (b < 0.3)].mean()) for a, b in ((down, across), (across, down))]
    return min(fine) / middle if middle > 0 else None


def _flatness(spectrum: tuple[float, ...]) -> float | None:
    powers = np.array(spectrum[1:])
    if powers.size == 0 or powers.min() <= 0:
        return None
    return float(np.exp(np.log(powers).mean()) / powers.mean())


def _pooled(values: list[tuple[float, int]]) -> float | None:
    if not values:
        return None
    return float(np.average([v for v, _ in values], weights=[n for _, n in values]))


def _objections(
    correlation: float | None,
    excess: float | None,
    band_excess: float | None,
    local_mean: float | None,
    places: int,
) -> list[str]:
    found = []
    by_rank = correlation is not None and correlation > EDGE_CORRELATION_LIMIT
    if by_rank or (excess is not None and excess > EDGE_EXCESS_LIMIT):
        found.append("more was taken away along edges than in flat tissue")
    if band_excess is not None and band_excess > BAND_EXCESS_LIMIT:
        found.append(f"up to {band_excess:.1f} times as much was removed as noise accounts for")
    if local_mean is not None and local_mean > LOCAL_MEAN_LIMIT:
        found.append("tissue became brighter or darker over wider areas")
    if places:
        where = "one place" if places == 1 else f"{places} places"
        found.append(f"small structure may have been lost in {where}, flagged on the map")
    return found


def _sentence(removed_anything: bool, correlation: float | None, objections: list[str]) -> str:
    if not removed_anything:
        return "Nothing was removed from these images."
    if objections:
        return (
            "What was removed is not noise alone: "
            + "; ".join(objections)
            + ". Compare with the images as acquired before relying on these."
        )
    if correlation is None:
        return "Too little of the body is in view to tell whether what was removed was only noise."
    return (
        "What was removed looks like noise: it does not follow the edges of the anatomy, is no "
        "more than the noise level accounts for, and left the brightness of tissue as it was."
    )
