"""The maps of the evidence as pictures for people: one PNG a slice."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from denoise_engine.metrics import BoolArray

if TYPE_CHECKING:
    from denoise_engine.evidence.record import Evidence

Floats = NDArray[np.float32]
Colours = NDArray[np.uint8]

REMOVED_LIMIT = 3.0  # noise SD: black and white
UNCERTAINTY_LIMIT = 1.0  # noise SD: the brightest colour
# Lightness grows evenly from dark to bright, so that the order also shows to colour-blind eyes and
# in grey.
_STOPS = ((0, 0, 8), (60, 18, 104), (148, 44, 110), (221, 81, 58), (252, 165, 40), (252, 252, 190))
_OUTLINE = (64, 224, 255)
_GAP, _LEGEND, _TEXT = 12, 56, 14
_NARROWEST = 360


def write_pictures(evidence: "Evidence", folder: Path) -> None:
    """Write ``pictures/slice-001.png`` and so on: removed noise left, uncertainty right.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    within = folder / "pictures"
    within.mkdir()
    for k in range(len(evidence.removed)):
        picture = slice_picture(
            evidence.removed[k],
            evidence.noise_map[k],
            evidence.uncertainty[k],
            evidence.flagged[k],
        )
        picture.save(within / f"slice-{k + 1:03d}.png")


def slice_picture(
    removed: Floats, sigma: Floats, uncertainty: Floats, flagged: BoolArray
) -> Image.Image:
    """Draw one slice: removed noise in grey, uncertainty in colours, what is flagged outlined.

    Parameters
    ----------
    removed, sigma, uncertainty : ndarray of float32
        (rows, columns): input − output and the noise SD in one unit; uncertainty in noise SDs.
    flagged : ndarray of bool
        (rows, columns).
    """
    units = np.divide(removed, sigma, out=np.zeros_like(removed), where=sigma > 0)
    grey = np.repeat(_steps(units, -REMOVED_LIMIT, REMOVED_LIMIT)[..., None], 3, axis=-1)
    colours = _palette()
    coloured = colours[_steps(uncertainty, 0, UNCERTAINTY_LIMIT)]
    times = -(-_NARROWEST // removed.shape[1])
    grey, coloured = (np.repeat(np.repeat(p, times, 0), times, 1) for p in (grey, coloured))
    large = np.repeat(np.repeat(flagged, times, 0), times, 1)
    coloured[large & ~ndimage.binary_erosion(large, iterations=2)] = _OUTLINE

    height, width = grey.shape[:2]
    sheet = Image.new("RGB", (2 * width + _GAP, height + _LEGEND), "white")
    sheet.paste(Image.fromarray(grey), (0, 0))
    sheet.paste(Image.fromarray(coloured), (width + _GAP, 0))
    grey_bar = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    _legend(sheet, 0, height, width, grey_bar, "-3", "Removed, in noise SD", "+3")
    _legend(sheet, width + _GAP, height, width, colours, "0", "Uncertainty, in noise SD", "1+")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_TEXT)
    at = width + _GAP + 4
    if flagged.any():
        draw.rectangle((at, height + 40, at + 10, height + 50), "black", _OUTLINE, width=2)
        draw.text((at + 16, height + 37), "do not believe the output here", "black", font)
    else:
        draw.text((at, height + 37), "nothing is flagged", "black", font)
    return sheet


def _legend(
    sheet: Image.Image,
    left: int,
    top: int,
    width: int,
    colours: Colours,
    low: str,
    title: str,
    high: str,
) -> None:
    bar = Image.fromarray(np.repeat(colours[None], 10, axis=0))
    sheet.paste(bar.resize((width - 8, 10)), (left + 4, top + 6))
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_TEXT)
    draw.text((left + 4, top + 18), low, "black", font)
    draw.text((left + width // 2, top + 18), title, "black", font, anchor="ma")
    draw.text((left + width - 4, top + 18), high, "black", font, anchor="ra")


def _palette() -> Colours:
    at = np.linspace(0, len(_STOPS) - 1, 256)
    channels = np.array(_STOPS, dtype=np.float64).T
    mixed = [np.interp(at, np.arange(len(_STOPS)), channel) for channel in channels]
    return np.rint(np.stack(mixed, axis=-1)).astype(np.uint8)


def _steps(values: Floats, low: float, high: float) -> Colours:
    """Values as 256 steps; what lies outside takes the first or the last."""
    return np.rint(np.clip((values - low) / (high - low), 0, 1) * 255).astype(np.uint8)
