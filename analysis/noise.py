"""Signal-to-noise and contrast-to-noise ratios under a named estimate of the noise.

The estimates, by name:

================== ============================================================================
``air_sd``          SD of the background air as it is (the default of published validations)
``rayleigh``        SD of the air / 0.655: the magnitude of one channel without signal
``noncentral_chi(n)`` SD of the air corrected for a sum of squares over n channels
``difference``      SD in the tissue of the difference of two acquisitions, / sqrt(2)
``tissue_sd``       SD in the same tissue
================== ============================================================================

A denoiser lowers the SD of the air and so raises every air-based ratio by construction; the
warnings of this module say so.
"""

import re
from dataclasses import dataclass
from math import exp, lgamma, log, sqrt

import numpy as np
import numpy.typing as npt

ESTIMATE_NAMES = ("air_sd", "rayleigh", "noncentral_chi(n)", "difference", "tissue_sd")
MOST_CHANNELS = 32
# Above this share of zero pixels the air was masked or clipped, not measured.
MOST_ZERO_SHARE = 0.05


@dataclass(frozen=True)
class NoiseEstimate:
    """A noise estimate, parsed from its name.

    Attributes
    ----------
    name : str
        As stored with every result, for example "noncentral_chi(8)".
    kind : str
        The name without its argument.
    channels : int
        Receiver channels: 1 except for noncentral_chi.
    """

    name: str
    kind: str
    channels: int

    @property
    def from_air(self) -> bool:
        """Whether the estimate is made from background air.

        Examples
        --------
        >>> noise_estimate("difference").from_air
        False
        """
        return self.kind in ("air_sd", "rayleigh", "noncentral_chi")

    @property
    def divisor(self) -> float:
        """What the measured SD is divided by to give the noise SD.

        Examples
        --------
        >>> round(noise_estimate("rayleigh").divisor, 3)
        0.655
        """
        if self.kind in ("rayleigh", "noncentral_chi"):
            return _background_moments(self.channels)[1]
        return sqrt(2) if self.kind == "difference" else 1.0


def noise_estimate(name: str) -> NoiseEstimate:
    """Parse the name of a noise estimate.

    Parameters
    ----------
    name : str
        "air_sd", "rayleigh", "noncentral_chi(n)" with n channels from 1 to 32, "difference" or
        "tissue_sd".

    Returns
    -------
    NoiseEstimate

    Raises
    ------
    ValueError
        If the name is none of these.

    Examples
    --------
    >>> noise_estimate("noncentral_chi(8)").channels
    8
    """
    found = re.fullmatch(r"noncentral_chi\((\d+)\)", name)
    if found and 1 <= int(found[1]) <= MOST_CHANNELS:
        return NoiseEstimate(name, "noncentral_chi", int(found[1]))
    if name in ("air_sd", "rayleigh", "difference", "tissue_sd"):
        return NoiseEstimate(name, name, 1)
    raise ValueError(
        f'"{name}" is no noise estimate. Choose air_sd, rayleigh, noncentral_chi(n) with 1 to '
        f"{MOST_CHANNELS} channels, difference or tissue_sd."
    )


def _background_moments(channels: int) -> tuple[float, float]:
    """Mean and SD of the sum-of-squares magnitude of pure noise of SD 1 in each channel."""
    # E[chi with 2n degrees of freedom] = sqrt(2) Gamma(n + 1/2) / Gamma(n); its square's mean: 2n.
    mean = exp(0.5 * log(2) + lgamma(channels + 0.5) - lgamma(channels))
    return mean, sqrt(2 * channels - mean**2)


def expected_air_ratio(channels: int) -> float:
    """Mean / SD that pure noise shows in air with this many channels.

    Parameters
    ----------
    channels : int
        1 is the Rayleigh case.

    Returns
    -------
    float

    References
    ----------
    Constantinides CD, Atalar E, McVeigh ER. Magn Reson Med 1997;38:852-857.

    Examples
    --------
    >>> round(expected_air_ratio(1), 2), round(expected_air_ratio(32), 1)
    (1.91, 11.3)
    """
    mean, sd = _background_moments(channels)
    return mean / sd


def noise_sd(sd: npt.ArrayLike, estimate: str = "air_sd") -> npt.NDArray[np.float64]:
    """The noise SD that a measured SD stands for under a named estimate.

    Parameters
    ----------
    sd : array_like
        The SD (ddof 1) that the estimate names: of air, of the difference image, of the tissue.
        Image units.
    estimate : str
        See `noise_estimate`.

    Returns
    -------
    numpy.ndarray, float64, same shape
        NaN stays NaN.

    Raises
    ------
    ValueError
        If an SD is zero or negative: no ratio can be made from it.

    Examples
    --------
    >>> float(noise_sd(6.55, "rayleigh").round(2))
    10.0
    """
    measured = np.asarray(sd, dtype=np.float64)
    if np.isinf(measured).any():
        raise ValueError("The SD that the noise is estimated from is infinite.")
    if (measured <= 0).any():
        raise ValueError(
            "The SD that the noise is estimated from is zero (a masked or clipped background?): "
            "no ratio can be computed. Move the region or choose another noise estimate."
        )
    return measured / noise_estimate(estimate).divisor


def snr(
    mean: npt.ArrayLike, sd: npt.ArrayLike, estimate: str = "air_sd"
) -> npt.NDArray[np.float64]:
    """Signal-to-noise ratio: mean of the tissue / noise SD.

    Parameters
    ----------
    mean : array_like
        Mean of the tissue, image units.
    sd : array_like
        The SD that `estimate` names (see `noise_sd`); broadcasts with `mean`.
    estimate : str
        See `noise_estimate`.

    Returns
    -------
    numpy.ndarray, float64

    Raises
    ------
    ValueError
        If an SD is not positive or the estimate unknown.

    Examples
    --------
    >>> float(snr(517.875, 3.75).round(1))
    138.1
    >>> float(snr(517.875, 3.75, "rayleigh").round(1))
    90.5
    """
    return np.asarray(np.asarray(mean, dtype=np.float64) / noise_sd(sd, estimate))


def cnr(
    mean: npt.ArrayLike,
    reference_mean: npt.ArrayLike,
    sd: npt.ArrayLike,
    estimate: str = "air_sd",
) -> npt.NDArray[np.float64]:
    """Contrast-to-noise ratio: (mean of the tissue - mean of the reference) / noise SD.

    Parameters
    ----------
    mean, reference_mean : array_like
        Means of the tissue and of the reference tissue (muscle), image units.
    sd : array_like
        The SD that `estimate` names. For "tissue_sd" and "difference" pass `pooled_sd` of the two
        tissues; with one SD of air the CNR is the SNR of the tissue minus that of the reference.
    estimate : str
        See `noise_estimate`.

    Returns
    -------
    numpy.ndarray, float64
        Negative where the tissue is darker than the reference.

    Raises
    ------
    ValueError
        If an SD is not positive or the estimate unknown.

    Examples
    --------
    >>> float(cnr(517.875, 54.375, 3.75).round(1))
    123.6
    """
    difference = np.asarray(mean, dtype=np.float64) - np.asarray(reference_mean, dtype=np.float64)
    return np.asarray(difference / noise_sd(sd, estimate))


def pooled_sd(sd: npt.ArrayLike, reference_sd: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The root mean square of two SDs, for the CNR under tissue_sd and difference.

    Parameters
    ----------
    sd, reference_sd : array_like
        Of the tissue and of the reference tissue, image units.

    Returns
    -------
    numpy.ndarray, float64

    Examples
    --------
    >>> float(pooled_sd(3, 4).round(4))
    3.5355
    """
    squares = np.asarray(sd, dtype=np.float64) ** 2 + np.asarray(reference_sd, np.float64) ** 2
    return np.asarray(np.sqrt(squares / 2))


def contrast_ratio(mean: npt.ArrayLike, reference_mean: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """(mean of the tissue - mean of the reference) / mean of the reference; needs no noise.

    Some papers print this formula as "CNR"; it is another quantity and has its own name here.

    Parameters
    ----------
    mean, reference_mean : array_like
        Image units.

    Returns
    -------
    numpy.ndarray, float64

    Raises
    ------
    ValueError
        If a reference mean is zero.

    Examples
    --------
    >>> float(contrast_ratio(150, 100))
    0.5
    """
    reference = np.asarray(reference_mean, dtype=np.float64)
    if (reference == 0).any():
        raise ValueError("The mean of the reference tissue is zero: no contrast ratio exists.")
    return np.asarray((np.asarray(mean, dtype=np.float64) - reference) / reference)


def air_fits(mean: float, sd: float, n_pixels: int, estimate: str = "air_sd") -> bool:
    """Whether mean / SD of the air is what pure noise would show.

    Parameters
    ----------
    mean, sd : float
        Of the air, image units.
    n_pixels : int
        For the sampling error of the ratio: three standard errors are allowed, at least 10 %.
    estimate : str
        "rayleigh" expects 1.91 and "noncentral_chi(n)" its own ratio; any other estimate accepts
        what lies between one channel (1.91) and 32 channels (11.3).

    Returns
    -------
    bool

    Examples
    --------
    >>> air_fits(7.16, 3.75, 45)
    True
    >>> air_fits(2.0, 4.0, 45)
    False
    """
    parsed = noise_estimate(estimate)
    fixed = parsed.kind in ("rayleigh", "noncentral_chi")
    low = expected_air_ratio(parsed.channels if fixed else 1)
    high = expected_air_ratio(parsed.channels if fixed else MOST_CHANNELS)
    slack = max(0.10, 3 / sqrt(2 * max(n_pixels - 1, 1)))
    return bool(low * (1 - slack) <= mean / sd <= high * (1 + slack))


def noise_warnings(
    estimate: str,
    *,
    processed: bool = False,
    air_mean: float | None = None,
    air_sd: float | None = None,
    air_n_pixels: int | None = None,
    air_n_zero: int = 0,
    air_n_at_limits: int = 0,
) -> tuple[str, ...]:
    """What a reader of an SNR or CNR must know, in plain words.

    Parameters
    ----------
    estimate : str
        The estimate in use.
    processed : bool
        Whether the image passed through a DLR or a filter.
    air_mean, air_sd : float, optional
        Of the air, image units.
    air_n_pixels, air_n_zero, air_n_at_limits : int, optional
        Pixels of the air region, those exactly zero, and those at the limits of the stored range.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> noise_warnings("difference", processed=True)
    ()
    >>> len(noise_warnings("air_sd", processed=True, air_mean=1, air_sd=3, air_n_pixels=45))
    2
    """
    parsed = noise_estimate(estimate)
    found: list[str] = []
    if processed and parsed.from_air:
        found.append(PROCESSED_AIR)
    if processed and parsed.kind == "tissue_sd":
        found.append(PROCESSED_TISSUE)
    if not parsed.from_air:
        return tuple(found)
    if air_n_pixels and (air_n_zero > MOST_ZERO_SHARE * air_n_pixels or air_n_at_limits):
        found.append(
            f"The air region holds {air_n_zero} zero and {air_n_at_limits} clipped of "
            f"{air_n_pixels} pixels: its SD is not that of the noise."
        )
    if (
        air_mean is not None
        and air_sd is not None
        and air_sd > 0
        and not air_fits(air_mean, air_sd, air_n_pixels or 2, estimate)
    ):
        found.append(
            f"Mean / SD of the air is {air_mean / air_sd:.2f}: pure noise gives 1.91 with one "
            "channel (Rayleigh) and up to 11.3 with 32. The air was filtered, masked or holds "
            "ghosts, or the estimate does not fit the coil."
        )
    return tuple(found)


PROCESSED_AIR = (
    "This arm is DLR-processed. A denoiser lowers the SD of the air, so every air-based SNR and "
    "CNR rises by construction, in all tissues at once: it shows that noise was "
    "removed, not that the anatomy is better shown. The difference of two acquisitions, or the "
    "contrast ratio, does not share this flaw."
)
PROCESSED_TISSUE = (
    "This arm is DLR-processed. Smoothing lowers the SD inside a tissue, so this SNR rises even "
    "where texture was lost. The difference of two acquisitions does not share this flaw."
)
