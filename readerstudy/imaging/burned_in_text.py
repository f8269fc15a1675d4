"""Pixels that look like written text: one bright value, in thin strokes, at one place on slices.

A scanner or workstation that annotates writes letters with one value, mostly the largest, and
writes the same ones on every slice. Anatomy never repeats one value at one place in many slices,
and saturated tissue is no thin stroke. This finds what software wrote; it cannot prove that there
is nothing: the header's own words and a person's eye on the contact sheet come beside it.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

SUSPICION = "Strokes of one grey value that look like written text were found in the pixels."

FEWEST_PIXELS = 60  # two or three letters
STROKE = 5  # pixels: a stroke is thinner
REPEATED = 0.8  # of the slices
SURROUNDED = 0.6  # of a stroke's neighbours are darker by this factor
MOST_OF_IMAGE = 0.08
LINE_HEIGHT = 40  # pixels


def looks_written(volume: np.ndarray) -> bool:
    """Whether a [slices, rows, columns] volume of one series seems to hold text."""
    if len(volume) == 0:
        return False
    mask = _one_value(volume)
    count = int(mask.sum())
    if not FEWEST_PIXELS <= count <= MOST_OF_IMAGE * mask.size:
        return False
    thick = ndimage.binary_opening(mask, np.ones((STROKE, STROKE), bool))
    if thick.sum() > 0.1 * count:
        return False
    return _in_lines(mask) and _stands_out(np.asarray(volume[len(volume) // 2]), mask)


def _one_value(volume: np.ndarray) -> np.ndarray:
    """[rows, columns]: the brightest value of all, on most of the slices (on the one there is)."""
    peak = volume.max()
    if float(peak) <= 0:
        return np.zeros(volume.shape[1:], dtype=bool)
    hits = (volume >= peak).mean(axis=0, dtype=np.float32)
    return np.asarray(hits >= REPEATED)


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
