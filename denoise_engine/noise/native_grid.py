"""The grid an image was acquired on, where the scanner has interpolated it since.

Scanners fill the outer part of k-space with zeros to show a larger matrix. The noise of such an
image is no longer white: its highest frequencies are empty, every blind estimate of its level reads
far too low, and a denoiser trained on white noise leaves it in place. Cropping k-space back to the
part that was acquired makes the noise white again and loses nothing.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from denoise_engine.errors import UnusableVolumeError
from denoise_engine.metrics import body_mask
from denoise_engine.noise.checks import checked_volume

Floats = NDArray[np.float32]
How = Literal["native", "header", "empty k-space border"]

# Anatomy's own spectrum falls by less than 5 dB across a step of this width (share of the half
# axis) on every series looked at; the edge of a zero-filled k-space by 7 to 20 dB.
_WINDOW = 0.05
_STEP_DB = 6.5
# How far (share of the axis) the edge seen may lie beyond, or short of, the header's.
_BEYOND, _SHORT_OF = 0.05, 0.08
# Where the header already says so, a filtered edge is believed at a smaller step.
_STEP_WITH_HEADER_DB = 4.0
# Beyond the edge the spectrum must stay low: this much above its level there at most.
_MAY_RISE_DB = 3.0
# The edge is the last line above this share of the fall: low, so that filtered lines are kept.
_FOOT = 0.35
# A fall of this share of the largest is looked at as well.
_SIMILAR = 0.6
# On small matrices a window holds more of the anatomy's own fall: dB for the whole half axis.
_OWN_FALL_DB = 60.0
# A border thinner than a tenth is left alone: scanners' edge filters look alike, and the gain is
# small. More than fourfold interpolation is not looked for.
_LARGEST_SHARE, _SMALLEST_SHARE = 0.9, 0.25
# Taking the magnitude smears the edge outward by a few lines at high signal-to-noise; twofold is by
# far the commonest factor, so an edge just beyond a half is taken for one.
_NEAR_HALF = 0.04
_MOST_SLICES = 8
_LEAST_BODY = 400


@dataclass(frozen=True)
class NativeGrid:
    """The matrix of an image and the one it was acquired on.

    Attributes
    ----------
    rows, columns : int
        The image as it stands.
    native_rows, native_columns : int
        The part of k-space that holds data.
    how : {"native", "header", "empty k-space border"}
        "native" where nothing speaks for interpolation; "header" where the acquired matrix given
        agrees with the spectrum; "empty k-space border" where the spectrum alone shows it.
    """

    rows: int
    columns: int
    native_rows: int
    native_columns: int
    how: How

    @property
    def is_native(self) -> bool:
        """Whether the image stands on the grid it was acquired on."""
        return (self.rows, self.columns) == (self.native_rows, self.native_columns)


def find_native_grid(volume: ArrayLike, acquired: tuple[int, int] | None = None) -> NativeGrid:
    """Find the grid a series was acquired on from the empty border of its k-space.

    The power spectrum of the body (the air is faded out: in it the magnitude of noise spills over
    the edge) is followed along each axis. A fall of 6.5 dB within a few lines, with nothing beyond
    it, is the edge of what was acquired. A smaller fall will do at the place the header names.

    Parameters
    ----------
    volume : array_like
        (slices, rows, columns), magnitude.
    acquired : (int, int), optional
        Acquired rows and columns, from Acquisition Matrix (0018,1310), if known.

    Returns
    -------
    NativeGrid

    Raises
    ------
    UnusableVolumeError
        If the volume cannot be processed, or ``acquired`` is not two positive numbers.

    Notes
    -----
    Only interpolation by zero filling has an edge. Bilinear and bicubic interpolation attenuate
    without one: the grid is then called native, and :func:`estimate_noise` says that its level
    cannot be trusted.
    """
    image = checked_volume(volume)
    if acquired is not None and (len(acquired) != 2 or min(acquired) < 1):
        raise UnusableVolumeError(
            f"The acquired matrix must be two positive numbers, rows and columns; this is "
            f"{acquired}."
        )
    _, rows, columns = image.shape
    power = _power_of_body(image)
    found: list[tuple[int, How]] = []
    for axis, size in enumerate((rows, columns)):
        from_header = None if acquired is None else int(acquired[axis])
        if power is None:
            found.append((size, "native"))
            continue
        spectrum = power if axis == 0 else power.T
        found.append(_native_size(_profile(spectrum), size, from_header))
    (native_rows, row_how), (native_columns, column_how) = found
    hows = {row_how, column_how}
    how: How = "native"
    if "header" in hows:
        how = "header"
    elif "empty k-space border" in hows:
        how = "empty k-space border"
    return NativeGrid(rows, columns, native_rows, native_columns, how)


def to_native(volume: ArrayLike, grid: NativeGrid) -> Floats:
    """Crop k-space to the acquired part, slice by slice; intensities are kept.

    Parameters
    ----------
    volume : array_like
        (slices, rows, columns) as in ``grid``.
    grid : NativeGrid

    Returns
    -------
    ndarray of float32
        (slices, native rows, native columns). The input itself, unchanged, where ``grid`` is
        native.

    Raises
    ------
    UnusableVolumeError
        If the volume does not have the grid's matrix.
    """
    image = _fitting(volume, grid.rows, grid.columns)
    return resize_kspace(image, (grid.native_rows, grid.native_columns))


def from_native(volume: ArrayLike, grid: NativeGrid) -> Floats:
    """Zero-fill k-space to the image's matrix, slice by slice; the inverse of :func:`to_native`.

    Parameters
    ----------
    volume : array_like
        (slices, native rows, native columns).
    grid : NativeGrid

    Returns
    -------
    ndarray of float32
        (slices, rows, columns).

    Raises
    ------
    UnusableVolumeError
        If the volume does not have the grid's native matrix.
    """
    image = _fitting(volume, grid.native_rows, grid.native_columns)
    return resize_kspace(image, (grid.rows, grid.columns))


def _fitting(volume: ArrayLike, rows: int, columns: int) -> Floats:
    image = np.asarray(volume, dtype=np.float32)
    if image.ndim != 3 or image.shape[1:] != (rows, columns):
        raise UnusableVolumeError(
            f"The volume is {' × '.join(map(str, image.shape))}; its grid says slices × {rows} × "
            f"{columns}."
        )
    return image


def resize_kspace(image: Floats, shape: tuple[int, int]) -> Floats:
    """Crop or zero-fill k-space, slice by slice; intensities are kept.

    Parameters
    ----------
    image : ndarray of float32
        (slices, rows, columns).
    shape : tuple of int
        Rows and columns of the result.

    Returns
    -------
    ndarray of float32
        (slices, *shape). Ringing at edges may go below 0.
    """
    if image.shape[1:] == shape:
        return image
    resized = np.empty((len(image), *shape), dtype=np.float32)
    for k, plane in enumerate(image):
        spectrum = np.fft.fft2(plane.astype(np.float64))
        for axis, size in enumerate(shape):
            spectrum = _resize_axis(spectrum, axis, size)
        scale = shape[0] * shape[1] / plane.size
        resized[k] = np.fft.ifft2(spectrum).real * scale
    return resized


def _resize_axis(spectrum: NDArray[np.complex128], axis: int, size: int) -> NDArray[np.complex128]:
    """Crop or zero-fill one axis of an unshifted spectrum, keeping a real image real.

    With an even number of lines the outermost one stands for both signs of its frequency: it is
    shared out when lines are added, and summed when they are taken away.
    """
    old = spectrum.shape[axis]
    if old == size:
        return spectrum
    lines = np.moveaxis(spectrum, axis, 0)
    kept = min(old, size)
    half = kept // 2
    resized = np.zeros((size, *lines.shape[1:]), dtype=np.complex128)
    resized[: kept - half] = lines[: kept - half]
    if half:
        resized[-half:] = lines[-half:]
    if kept % 2 == 0:
        if size > old:
            resized[-half] /= 2
            resized[half] = resized[-half]
        else:
            resized[half] = lines[half] + lines[-half]
    return np.moveaxis(resized, 0, axis)


def _power_of_body(image: Floats) -> NDArray[np.float64] | None:
    """Power spectrum (rows, columns) of the body, summed over slices; None without a body."""
    body = body_mask(np.maximum(image, 0))
    sizes = body.sum(axis=(1, 2))
    chosen = np.argsort(sizes)[::-1][:_MOST_SLICES]
    power = np.zeros(image.shape[1:])
    for k in chosen:
        if sizes[k] < _LEAST_BODY:
            continue
        # Padded, so that the body also fades out where it leaves the field of view.
        inner = np.pad(ndimage.binary_erosion(body[k], iterations=4)[1:-1, 1:-1], 1)
        window = ndimage.gaussian_filter(inner.astype(np.float64), 2.0)
        tissue = (image[k] - float(image[k][body[k]].mean())) * window
        power += np.square(np.abs(np.fft.fft2(tissue)))
    return power if power.any() else None


def _profile(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spectrum in dB along the first axis, from 0 to the highest frequency.

    The median over low frequencies of the other axis: low, so that they lie inside whatever was
    acquired along it; not the lowest, where edges of the body run through the whole spectrum.
    """
    size, other = power.shape
    first = max(2, round(0.02 * other))
    last = max(first + 4, round(0.2 * other))
    lines = np.r_[first:last, other - last + 1 : other - first + 1]
    level = np.median(power[:, lines], axis=1)[: size // 2 + 1]
    return np.asarray(10 * np.log10(level + 1e-12 * level.max()))


def _native_size(
    profile: NDArray[np.float64], size: int, from_header: int | None
) -> tuple[int, How]:
    step, edge = _outermost_step(profile)
    share = 2 * (edge + 1) / size
    seen = step > 0 and _SMALLEST_SHARE <= share <= _LARGEST_SHARE
    told = None if from_header is None else from_header / size
    # A spectrum that clearly holds data beyond the header's matrix is believed over it.
    if told is not None and told <= _LARGEST_SHARE and not (seen and share > told + _BEYOND):
        # Lines may have been left out or filtered inside the acquired matrix: near enough agrees.
        agrees = seen and told - share <= _SHORT_OF
        if from_header is not None and (agrees or _falls_at(profile, from_header // 2)):
            return from_header, "header"
    if seen and size % 2 == 0 and -0.01 <= share - 0.5 <= _NEAR_HALF:
        return size // 2, "empty k-space border"
    if seen:
        return 2 * (edge + 1), "empty k-space border"
    return size, "native"


def _outermost_step(profile: NDArray[np.float64]) -> tuple[float, int]:
    """The fall (dB) that ends what was acquired, and the last line inside it.

    Of several falls of similar size the outermost counts, so that a gap in the anatomy's own
    spectrum does not pass for the edge.
    """
    count = len(profile)
    width = _width(count)
    falls = np.zeros(count)
    for k in range(width, count - max(3, width // 2)):
        outside = float(np.median(profile[k + 1 : k + 1 + width]))
        if _stays_low(profile[k + 1 :], outside, width):
            falls[k] = float(np.median(profile[k - width : k])) - outside
    large = np.flatnonzero(falls >= max(_least_step(count), _SIMILAR * falls.max()))
    if not large.size:
        return 0.0, count - 1
    near = slice(max(0, int(large[-1]) - width), int(large[-1]) + 1)
    at = near.start + int(np.argmax(falls[near]))
    step = float(falls[at])
    foot = float(np.median(profile[at + 1 : at + 1 + width])) + _FOOT * step
    around = np.arange(max(0, at - width), min(count, at + width))
    above = around[profile[around] > foot]
    return step, int(above[-1]) if above.size else at


def _width(count: int) -> int:
    return max(3, round(_WINDOW * count))


def _least_step(count: int) -> float:
    return _STEP_DB + _OWN_FALL_DB * max(0.0, _width(count) / count - _WINDOW)


def _falls_at(profile: NDArray[np.float64], edge: int) -> bool:
    """Whether the spectrum falls for good across one place, a filter's width left aside."""
    width = _width(len(profile))
    gap = width // 2
    beyond = profile[edge + gap : edge + gap + width]
    before = profile[max(0, edge - gap - width) : edge - gap]
    if min(len(beyond), len(before)) < 3:
        return False
    outside = float(np.median(beyond))
    fall = float(np.median(before)) - outside
    return fall >= _STEP_WITH_HEADER_DB and _stays_low(profile[edge + gap :], outside, width)


def _stays_low(beyond: NDArray[np.float64], level: float, width: int) -> bool:
    smooth = ndimage.median_filter(beyond, size=min(width, len(beyond)), mode="nearest")
    return bool(smooth.max() <= level + _MAY_RISE_DB)
