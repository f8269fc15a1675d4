"""The pictures of one slice of a derived series, as PNG, for whoever checks it.

The two images share one window, taken from the input, so that they can be compared. The removed
noise is shown in units of the local noise SD, mid grey where nothing was removed. Pixels are
resampled to squares where the scanner's are not.
"""

from __future__ import annotations

import io
import math
import uuid
from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np
from PIL import Image
from scipy import ndimage

from readerstudy.imaging.models import Series
from readerstudy.imaging.selectors import load_volume

from .evidence import (
    EXPECTED_ERROR,
    FLAGGED,
    G_FACTOR,
    INTERPOLATED,
    NOISE,
    UNCERTAINTY,
    has_map,
    read_map,
)

REMOVED_LIMIT = 3.0  # SD of the noise: black and white
UNCERTAINTY_LIMIT = 1.0  # SD of the noise: there the output is no surer than the input
SHORTEST_SIDE = 320  # smaller images are enlarged by whole pixels, so that outlines stay thin
OUTLINE = (64, 224, 255)
WIDTHS_OF_A_LINE = 180
# Dark to bright with evenly growing lightness, also for colour-blind eyes and in grey; the same
# colours stand in the scale beside the picture (evidence.css).
STOPS = ((0, 0, 8), (60, 18, 104), (148, 44, 110), (221, 81, 58), (252, 165, 40), (252, 252, 190))


def picture(series: Series, source: Series | None, name: str, index: int) -> bytes:
    """One slice of one picture, as the bytes of a PNG file.

    `source` is the series it was made from or is compared with, where there is one.
    Raises LookupError for a picture that this series does not have, or a slice that is not there.
    """
    if name not in PICTURES:
        raise LookupError(f"There is no picture {name}.")
    if not 0 <= index < series.slices:
        raise LookupError(f"Slice {index} of {series.slices}.")
    if source is None and name in OF_TWO:
        raise LookupError(f"{series} has nothing to be compared with.")
    return _png(PICTURES[name](series, source or series, index))


def _input(series: Series, source: Series, index: int) -> Image.Image:
    return _grey(load_volume(source)[index], *_window(source), series)


def _output(series: Series, source: Series, index: int) -> Image.Image:
    return _grey(load_volume(series)[index], *_window_alike(series, source), series)


def _window_alike(series: Series, source: Series) -> tuple[float, float]:
    """The window of the source; where that lies on another grid, the own one."""
    shape = (source.slices, source.rows, source.columns)
    alike = shape == (series.slices, series.rows, series.columns)
    return _window(source if alike else series)


def _removed(series: Series, source: Series, index: int) -> Image.Image:
    removed = load_volume(source)[index] - load_volume(series)[index]
    noise = _noise_sd(series, index)
    units = np.divide(removed, noise, out=np.zeros_like(removed), where=noise > 0)
    return _grey(units, -REMOVED_LIMIT, REMOVED_LIMIT, series)


def _uncertainty(series: Series, _source: Series, index: int) -> Image.Image:
    image = _coloured(read_map(series, UNCERTAINTY)[index], 0.0, UNCERTAINTY_LIMIT, series)
    flagged = np.asarray(read_map(series, FLAGGED)[index])
    return _outlined(image, flagged, series)


def _noise(series: Series, _source: Series, index: int) -> Image.Image:
    return _coloured(read_map(series, NOISE)[index], 0.0, noise_limit(series), series)


def _g_factor(series: Series, _source: Series, index: int) -> Image.Image:
    return _coloured(read_map(series, G_FACTOR)[index], 0.0, g_limit(series), series)


def _interpolated(series: Series, source: Series, index: int) -> Image.Image:
    return _grey(read_map(series, INTERPOLATED)[index], *_window_alike(series, source), series)


def _expected_error(series: Series, _source: Series, index: int) -> Image.Image:
    values = read_map(series, EXPECTED_ERROR)[index]
    image = _coloured(values, 0.0, expected_error_limit(series), series)
    return _outlined(image, np.asarray(read_map(series, FLAGGED)[index]), series)


def _difference(series: Series, source: Series, index: int) -> Image.Image:
    limit = expected_error_limit(series)
    found = load_volume(source)[index] - load_volume(series)[index]
    return _grey(found, -limit, limit, series)


PICTURES: Mapping[str, Callable[[Series, Series, int], Image.Image]] = {
    "input": _input,
    "output": _output,
    "removed": _removed,
    "uncertainty": _uncertainty,
    "noise": _noise,
    "g_factor": _g_factor,
    "interpolated": _interpolated,
    "expected_error": _expected_error,
    "difference": _difference,
}
OF_TWO = ("input", "removed", "difference")  # pictures that need the source


def g_limit(series: Series) -> float:
    """What the brightest colour of the g-factor map stands for: at least twice the ideal."""
    found = series.provenance.get("maps", {}).get("g_factor") or {}
    return max(2.0, float(found.get("highest") or 0))


def noise_limit(series: Series) -> float:
    """What the brightest colour of the noise map stands for, in the unit of the images.

    Twice the median, or what the map reaches, so that one level everywhere has a middle colour.
    """
    level = series.provenance.get("maps", {}).get("noise_sd") or {}
    return max(2 * float(level.get("median") or 0), float(level.get("highest") or 0)) or 1.0


def expected_error_limit(series: Series) -> float:
    """What the brightest colour of the warning map stands for, in the unit of the images."""
    found = series.provenance.get("maps", {}).get("expected_error") or {}
    highest = float(found.get("highest") or 0)
    return highest or _window(series)[1] / 5


def _noise_sd(series: Series, index: int) -> np.ndarray:
    """The noise SD of each pixel; a series made before maps were stored has one level alone."""
    if has_map(series, NOISE):
        return np.asarray(read_map(series, NOISE)[index])
    level = float(series.provenance.get("sigma") or 0)
    return np.full((series.rows, series.columns), level, dtype=np.float32)


def _window(source: Series) -> tuple[float, float]:
    return _window_of(source.pk, source.volume_sha256)


@lru_cache(maxsize=64)
def _window_of(series_id: uuid.UUID, _sha256: str) -> tuple[float, float]:
    """From 0, or below where values are, to what one pixel in three hundred exceeds."""
    some = load_volume(Series.objects.get(pk=series_id))[:, ::2, ::2]
    return min(0.0, float(some.min())), float(np.quantile(some, 1 - 1 / 300))


def _grey(plane: np.ndarray, low: float, high: float, series: Series) -> Image.Image:
    return _sized(_steps(plane, low, high), series, Image.Resampling.BICUBIC)


def _coloured(plane: np.ndarray, low: float, high: float, series: Series) -> Image.Image:
    return _sized(COLOURS[_steps(plane, low, high)], series, Image.Resampling.BICUBIC)


def _steps(plane: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values as 256 steps; what lies outside takes the first or the last."""
    scaled = (np.asarray(plane, dtype=np.float64) - low) / max(high - low, 1e-12)
    return np.rint(np.clip(scaled, 0, 1) * 255).astype(np.uint8)


def _outlined(image: Image.Image, flagged: np.ndarray, series: Series) -> Image.Image:
    """A line around what is flagged, as thick as shows on a page that fits five pictures."""
    shape = _sized(flagged.astype(np.uint8) * 255, series, Image.Resampling.NEAREST)
    inside = np.asarray(shape) > 0
    thickness = max(1, round(image.width / WIDTHS_OF_A_LINE))
    edge = ndimage.binary_dilation(inside, iterations=thickness) & ~inside
    drawn = np.array(image)
    drawn[edge] = OUTLINE
    return Image.fromarray(drawn)


def _sized(pixels: np.ndarray, series: Series, resampling: Image.Resampling) -> Image.Image:
    return Image.fromarray(pixels).resize(picture_size(series), resampling)


def picture_size(series: Series) -> tuple[int, int]:
    """Width and height of the pictures of a series, with square pixels."""
    row, column = (float(series.geometry[f"{side}_spacing"]) for side in ("row", "column"))
    finest = min(row, column)
    width, height = series.columns * column / finest, series.rows * row / finest
    enlarged = math.ceil(SHORTEST_SIDE / min(width, height))
    return round(width * enlarged), round(height * enlarged)


def _colours() -> np.ndarray:
    """[256, 3] uint8."""
    at = np.linspace(0, len(STOPS) - 1, 256)
    channels = [np.interp(at, range(len(STOPS)), channel) for channel in zip(*STOPS, strict=True)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)


COLOURS = _colours()


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()
