"""Pixels that look like written text: many of one grey value, in thin strokes, beside darkness.

Who annotates an image writes its letters with one value: the image's largest, or another. In a
magnitude image with noise no value of tissue stands out from its neighbours in the histogram, and
what does, saturated tissue, is no thin stroke. Every slice is looked at by itself: a name may stand
on the first alone. This finds what software wrote; it cannot prove that there is nothing: the
header's own words and a person's eye on the contact sheet come beside it.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

SUSPICION = "Strokes of one grey value that look like written text were found in the pixels."

FEWEST_PIXELS = 60  # two or three letters
STROKE = 5  # pixels: a stroke is thinner
SURROUNDED = 0.6  # of a stroke's neighbours are darker by this factor
MOST_OF_IMAGE = 0.08
LINE_HEIGHT = 40  # pixels
DARKEST = 0.25  # of a slice's largest value: darker text is hard to read, darker tissue is common
LEVELS = 4096  # of the histogram
NEIGHBOURS = 128  # levels to either side
SPIKE = 6.0  # times as many pixels as the levels beside it hold
SPIKES = 3  # values of a slice that are looked at


def looks_written(volume: np.ndarray) -> bool:
    """Whether a [slices, rows, columns] volume of one series seems to hold text."""
    return any(_is_written(plane, value) for plane in volume for value in _spikes(plane))


def _spikes(plane: np.ndarray) -> list[tuple[float, float]]:
    """Ranges of values, from and below, that more pixels have than those of similar brightness."""
    peak = float(plane.max())
    if peak <= 0:
        return []
    scale = (LEVELS - 1) / peak
    rows = plane[::2]  # letters are higher than one row
    bright = rows[rows > DARKEST * peak] * np.float32(scale)
    counts = np.bincount((bright + np.float32(0.5)).astype(np.uint16), minlength=LEVELS)
    many = np.flatnonzero(counts >= FEWEST_PIXELS // 3)
    found = []
    for level in many[np.argsort(counts[many])[::-1]]:
        beside = counts[max(0, level - NEIGHBOURS) : level + NEIGHBOURS + 1]
        others = np.count_nonzero(beside) - 1
        typical = (int(beside.sum()) - int(counts[level])) / others if others else 0.0
        if counts[level] > SPIKE * typical:
            found.append(((level - 0.5) / scale, (level + 0.5) / scale))
        if len(found) == SPIKES:
            break
    return found


def _is_written(plane: np.ndarray, values: tuple[float, float]) -> bool:
    mask = (plane >= values[0]) & (plane < values[1])
    count = int(mask.sum())
    if not FEWEST_PIXELS <= count <= MOST_OF_IMAGE * mask.size:
        return False
    thick = ndimage.binary_opening(mask, np.ones((STROKE, STROKE), bool))
    if thick.sum() > 0.1 * count:
        return False
    return _in_lines(mask) and _stands_out(plane, mask)


def _in_lines(mask: np.ndarray) -> bool:
    """Letters are several separate small pieces, side by side."""
    labels, pieces = ndimage.label(mask, np.ones((3, 3), int))
    if pieces < 3:
        return False
    boxes = ndimage.find_objects(labels)
    heights = np.array([box[0].stop - box[0].start for box in boxes])
    letters = [
        box for box, height in zip(boxes, heights, strict=True) if 4 <= height <= LINE_HEIGHT
    ]
    if len(letters) < 3:
        return False
    middles = np.array([(box[0].start + box[0].stop) / 2 for box in letters])
    same_line = np.abs(middles[:, None] - middles[None, :]) < np.median(heights)
    return bool(same_line.sum(axis=1).max() >= 3)


def _stands_out(plane: np.ndarray, mask: np.ndarray) -> bool:
    """What lies around the strokes is much darker than they are."""
    ring = ndimage.binary_dilation(mask, iterations=2) & ~mask
    if not ring.any():
        return False
    return float(np.median(plane[ring])) < SURROUNDED * float(plane[mask].max())
