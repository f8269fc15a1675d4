"""All slices of a series on one sheet, for the coordinator who decides about it."""

from __future__ import annotations

import io
import math

import numpy as np
from PIL import Image

SHEET_WIDTH = 1600  # pixels
MOST_SLICES = 120  # more are shown in even steps
PERCENTILES = (0.5, 99.8)
SIDES = (96, 480)  # of one slice on the sheet


def shown_slices(count: int) -> list[int]:
    """Which slices the sheet shows."""
    if count <= MOST_SLICES:
        return list(range(count))
    return sorted({round(i) for i in np.linspace(0, count - 1, MOST_SLICES)})


def contact_sheet(volume: np.ndarray) -> bytes:
    """PNG of a [slices, rows, columns] volume, row by row.

    Greys run from the 0.5th to the 99.8th percentile; what is brighter, as letters are, is white.
    """
    indices = shown_slices(len(volume))
    columns = min(len(indices), max(1, round(math.sqrt(len(indices) * 1.6))))
    height, width = volume.shape[1:]
    scale = min(max(SHEET_WIDTH // columns, SIDES[0]), SIDES[1]) / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    rows = math.ceil(len(indices) / columns)
    sheet = Image.new("L", (columns * (size[0] + 2), rows * (size[1] + 2)), 40)
    low, high = (float(v) for v in np.percentile(volume[indices], PERCENTILES))
    for place, index in enumerate(indices):
        tile = Image.fromarray(_greys(volume[index], low, high))
        # Area averaging: single bright pixels of thin letters fade but do not vanish.
        reduced = tile.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.NEAREST)
        sheet.paste(
            reduced, ((place % columns) * (size[0] + 2), (place // columns) * (size[1] + 2))
        )
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _greys(plane: np.ndarray, low: float, high: float) -> np.ndarray:
    span = max(high - low, 1e-9)
    values = np.clip((plane.astype(np.float64) - low) / span, 0.0, None)
    above = values > 1.0
    values = np.clip(values, 0.0, 1.0) * 225.0
    values[above] = 255.0
    return np.rint(values).astype(np.uint8)
