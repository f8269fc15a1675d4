"""What image quality transfer asks of a volume before it touches it.

A network answers whatever it is shown. What it was not trained on is therefore refused in a
sentence, or, where that is safe, done with a warning.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from denoise_engine.errors import UnusableVolumeError
from denoise_engine.metrics import otsu_threshold
from denoise_engine.noise.checks import checked_volume, magnitude_warnings
from denoise_engine.transfer.contrast import LEAST_DISTANCE, distance_of_bright_tissue

Floats = NDArray[np.float32]
Spacing = tuple[float, float, float]

# Slice spacing over pixel spacing may lie off the factor by so much (octaves) before it is refused.
_OFF_THE_FACTOR = 0.6
_WARN_OFF = 0.3
_MOST_OBLONG = 1.15
_FEWEST_SLICES = 4
_SMALLEST = 48
# A network is used on pixels a little outside of what it saw, with a warning; no further.
_BEYOND = 1.6


def checked_scan(volume: ArrayLike, spacing: Spacing) -> tuple[Floats, list[str]]:
    """Return the volume as float32, and what must be warned of.

    What it shows is looked at apart: :func:`refuse_without_skull`, :func:`contrast_warnings`.

    Parameters
    ----------
    volume : array_like
        (slices, rows, columns), magnitude.
    spacing : tuple of float
        Slice, row and column spacing, mm.

    Returns
    -------
    image : ndarray of float32
        (slices, rows, columns), unit of the input.
    warnings : list of str

    Raises
    ------
    UnusableVolumeError
        NaN, wrong shape, too small, spacing that is no spacing, oblong pixels, or slices along
        another axis.
    """
    image = checked_volume(volume)
    if len(spacing) != 3 or not all(np.isfinite(s) and s > 0 for s in spacing):
        raise UnusableVolumeError(
            f"Slice, row and column spacing must be three numbers above 0 (mm), not {spacing}."
        )
    _check_orientation(image, spacing)
    slices, rows, columns = image.shape
    if slices < _FEWEST_SLICES or min(rows, columns) < _SMALLEST:
        raise UnusableVolumeError(
            f"The volume measures {slices} × {rows} × {columns}; at least {_FEWEST_SLICES} slices "
            f"of {_SMALLEST} × {_SMALLEST} pixels are needed, what the networks were trained on."
        )
    return image, magnitude_warnings(image)


def _check_orientation(image: Floats, spacing: Spacing) -> None:
    slice_spacing, row, column = spacing
    if max(row, column) / min(row, column) > _MOST_OBLONG:
        thickest = int(np.argmax(spacing))
        hint = (
            ""
            if thickest == 0
            else f" The {('slices', 'rows', 'columns')[thickest]} lie furthest apart: if these are "
            "the slices, turn the volume so that they come first."
        )
        raise UnusableVolumeError(
            f"Pixels must be square; these measure {row:g} × {column:g} mm.{hint}"
        )
    if slice_spacing < 0.95 * min(row, column):
        raise UnusableVolumeError(
            f"The slices lie closer ({slice_spacing:g} mm) than the pixels ({row:g} mm): the first "
            "axis is not the one along which the resolution is low. Turn the volume so that the "
            "thick slices come first."
        )


def chosen_factor(
    spacing: Spacing, asked: int | None, card: dict[str, Any]
) -> tuple[int, list[str]]:
    """Return how many thin slices each slice becomes, and what must be warned of.

    Left open, it is the trained factor that makes voxels nearest to cubes.

    Raises
    ------
    UnusableVolumeError
        The spacing is outside of what the network was trained on.
    """
    factors: list[int] = list(card["architecture"]["factors"])
    pixel = float(np.sqrt(spacing[1] * spacing[2]))
    ratio = spacing[0] / pixel
    known = " or ".join(str(f) for f in factors)
    if asked is not None and asked not in factors:
        raise UnusableVolumeError(
            f"{card['name']} was trained for factors of {known} along the slices, not {asked}."
        )
    factor = asked or min(factors, key=lambda f: abs(np.log2(ratio / f)))
    off = abs(float(np.log2(ratio / factor)))
    if off > _OFF_THE_FACTOR:
        trained = (
            "on voxels that are nearly cubes. Give it a scan of thin slices."
            if factors == [1]
            else f"where it is {known} times. Use interpolation."
        )
        raise UnusableVolumeError(
            f"Slices {spacing[0]:g} mm apart with pixels of {pixel:.2f} mm are {ratio:.1f} times "
            f"as far apart; {card['name']} was trained {trained}"
        )
    lowest, highest = card["pixel_range"]
    if not lowest / _BEYOND <= pixel <= highest * _BEYOND:
        raise UnusableVolumeError(
            f"Pixels of {pixel:.2f} mm are far from the {lowest:g} to {highest:g} mm that "
            f"{card['name']} was trained on."
        )
    warnings = []
    if off > _WARN_OFF:
        taken = "the voxels for cubes" if factor == 1 else f"them for {factor} times"
        warnings.append(
            f"The slices are {ratio:.1f} times as far apart as the pixels; the network takes "
            f"{taken}, and the voxels of the result are no cubes."
        )
    if not lowest * 0.98 <= pixel <= highest * 1.02:
        warnings.append(
            f"Pixels of {pixel:.2f} mm lie outside the {lowest:g} to {highest:g} mm that the "
            "network was trained on."
        )
    return factor, warnings


def refuse_without_skull(image: Floats, spacing: Spacing) -> None:
    """Refuse a brain whose skull was removed: the networks were trained on whole heads.

    Of a whole head, a good part of what lies between 4 and 16 mm below the surface is dark: the
    skull, and the fluid beneath. Below the surface of a stripped brain lies cortex.

    Parameters
    ----------
    image : ndarray of float32
        (slices, rows, columns).
    spacing : tuple of float
        Slice, row and column spacing, mm.

    Raises
    ------
    UnusableVolumeError
        Less than a fifth is dark there.
    """
    share = dark_share_below_surface(image, spacing)
    if share < LEAST_DARK_BELOW_SURFACE:
        raise UnusableVolumeError(
            "The skull seems to have been removed, or this is no head: below the surface only "
            f"{100 * share:.0f} % is dark, of a whole head at least "
            f"{100 * LEAST_DARK_BELOW_SURFACE:.0f} %. Give the whole head; remove the skull "
            "afterwards."
        )


def contrast_warnings(image: Floats, spacing: Spacing) -> list[str]:
    """Return a warning if a head does not look T1-weighted, which is all that networks have seen.

    A warning, no refusal: few images of other contrasts were at hand to tell how sure it is.

    Parameters
    ----------
    image : ndarray of float32
        (slices, rows, columns), a whole head.
    spacing : tuple of float
        Slice, row and column spacing, mm.

    Returns
    -------
    list of str
        Empty where the image looks T1-weighted, or is too small to tell.
    """
    distance = distance_of_bright_tissue(image, spacing)
    if distance is None or distance > LEAST_DISTANCE:
        return []
    return [
        "The image does not look T1-weighted: the brighter part of the brain lies "
        f"{abs(distance):.1f} mm nearer to fluid and skull than the darker part, as where grey "
        "matter is brighter than white. The networks were trained on T1-weighted heads alone; do "
        "not trust what they make of another contrast."
    ]


LEAST_DARK_BELOW_SURFACE = 0.2


def dark_share_below_surface(image: Floats, spacing: Spacing) -> float:
    """Return the share of dark voxels 4 to 16 mm below the surface, in the plane of the slices.

    Parameters
    ----------
    image : ndarray of float32
        (slices, rows, columns), magnitude, any unit; the middle half of the slices is looked at.
    spacing : tuple of float
        Slice, row and column spacing, mm.

    Returns
    -------
    float
        0 to 1; 0 also where nothing lies deep enough below a surface.
    """
    threshold = 0.5 * otsu_threshold(image)
    dark, shell = 0, 0
    pixel = float(np.sqrt(spacing[1] * spacing[2]))
    middle = image[len(image) // 4 : max(3 * len(image) // 4, len(image) // 4 + 1)]
    for section in middle:
        outline = ndimage.binary_closing(
            np.pad(section > threshold, 12), iterations=max(1, round(4 / pixel))
        )[12:-12, 12:-12]
        labels, count = ndimage.label(outline)
        if count == 0:
            continue
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        head = ndimage.binary_fill_holes(labels == int(sizes.argmax()))
        depth = ndimage.distance_transform_edt(np.pad(head, 1))[1:-1, 1:-1] * pixel
        within = (depth > 4) & (depth < 16)
        bright = float(np.median(section[head]))
        dark += int(np.count_nonzero(section[within] < 0.55 * bright))
        shell += int(np.count_nonzero(within))
    return dark / shell if shell else 0.0
