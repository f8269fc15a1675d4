"""Figures of images: where the regions lie (Figure 2), and the arms side by side (Figures 5, 6)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from analysis.figure_style import ImageFormat, drawing, figure_bytes
from analysis.tables import label_of

Image = npt.NDArray[np.float64]
# Those of Okabe and Ito's colours that stand out from a dark image.
_ON_DARK = ("#E69F00", "#56B4E9", "#F0E442", "#009E73", "#CC79A7", "#D55E00")
# Inches below an image, for its note.
_STRIP = 0.25


@dataclass(frozen=True)
class EllipseOutline:
    """An ellipse as it is drawn, in the geometry of `analysis.ellipse_region`.

    Attributes
    ----------
    centre : (float, float)
        x and y in mm; the centre of the first pixel is (0, 0).
    semi_axes : (float, float)
        In mm.
    angle_degrees : float
        Clockwise on the screen.
    """

    centre: tuple[float, float]
    semi_axes: tuple[float, float]
    angle_degrees: float = 0.0


def figure_2(
    image: npt.ArrayLike,
    outlines: Mapping[str, EllipseOutline],
    spacing: tuple[float, float],
    labels: Mapping[str, str] | None = None,
    *,
    window: tuple[float, float] | None = None,
    image_format: ImageFormat = "svg",
    note: str = "",
) -> bytes:
    """Figure 2: where the regions of interest lie on one slice.

    Parameters
    ----------
    image : array_like, shape (rows, columns)
        Image units.
    outlines : mapping of str to EllipseOutline
        By tissue.
    spacing : (float, float)
        Distance between rows and between columns in mm.
    labels : mapping of str to str, optional
        Names for codes of tissues.
    window : (float, float), optional
        Darkest and brightest value; the 1st and 99.5th percentile by default.
    image_format : {"svg", "png", "pdf"}
    note : str
        Shown below.

    Returns
    -------
    bytes

    Raises
    ------
    ValueError
        If the image is not a slice of numbers, the window is empty, or there is no outline.

    Examples
    --------
    >>> outline = EllipseOutline((10, 12), (4, 3))
    >>> figure_2(np.eye(24), {"fat": outline}, (1, 1), image_format="pdf")[:4]
    b'%PDF'
    """
    pixels = _slice(image)
    if not outlines:
        raise ValueError("There is no region to draw.")
    with drawing():
        width, height = _size(pixels, spacing, 5.0)
        figure = Figure(figsize=(width, height + _STRIP))
        axes = figure.add_axes((0.0, _STRIP / (height + _STRIP), 1.0, height / (height + _STRIP)))
        _show(axes, pixels, spacing, _window(pixels, window))
        for number, (tissue, outline) in enumerate(outlines.items()):
            colour = _ON_DARK[number % len(_ON_DARK)]
            axis_a, axis_b = 2 * outline.semi_axes[0], 2 * outline.semi_axes[1]
            # The y axis points down, so a positive angle turns clockwise on the screen.
            shape = Ellipse(
                outline.centre, axis_a, axis_b, angle=outline.angle_degrees, fill=False, lw=1.2
            )
            shape.set_edgecolor(colour)
            axes.add_patch(shape)
            axes.annotate(
                label_of(tissue, labels),
                outline.centre,
                xytext=(max(outline.semi_axes) + 1, 0),
                textcoords="offset points",
                color=colour,
                fontsize=7,
                va="center",
            )
        figure.text(0.5, 0.06 / (height + _STRIP), note, ha="center", fontsize=6.5)
        return figure_bytes(figure, image_format)


def figure_panels(
    images: Mapping[str, npt.ArrayLike],
    spacing: tuple[float, float],
    labels: Mapping[str, str] | None = None,
    *,
    arms: Sequence[str] | None = None,
    window: tuple[float, float] | None = None,
    image_format: ImageFormat = "svg",
    note: str = "",
) -> bytes:
    """Figures 5 and 6: the same slice in every arm, in one window, side by side.

    Parameters
    ----------
    images : mapping of str to array_like, shape (rows, columns)
        By arm; all of one shape, image units.
    spacing : (float, float)
        Distance between rows and between columns in mm.
    labels : mapping of str to str, optional
        Names for codes of arms; masked arms get their letters here.
    arms : sequence of str, optional
        Protocol order; that of `images` by default.
    window : (float, float), optional
        One for all panels: a window of each arm's own would hide a difference. By default from the
        first arm.
    image_format : {"svg", "png", "pdf"}
    note : str
        Shown below.

    Returns
    -------
    bytes

    Raises
    ------
    ValueError
        If there is no image, their shapes differ, or an arm has none.

    Examples
    --------
    >>> images = {"STD": np.eye(24), "DLR": np.eye(24)}
    >>> figure_panels(images, (1, 1), image_format="png")[1:4]
    b'PNG'
    """
    order = list(images) if arms is None else list(arms)
    lacking = [arm for arm in order if arm not in images]
    if not order or lacking:
        raise ValueError(f"There is no image of {', '.join(lacking) or 'any arm'}.")
    slices = [_slice(images[arm]) for arm in order]
    if len({pixels.shape for pixels in slices}) > 1:
        raise ValueError("The images of the arms must have the same shape, slice by slice.")
    limits = _window(slices[0], window)
    with drawing():
        width, height = _size(slices[0], spacing, 7.2 / len(order))
        figure = Figure(figsize=(7.2, height + 0.35))
        top = height / (height + 0.35)
        for number, (arm, pixels) in enumerate(zip(order, slices, strict=True)):
            left = number / len(order)
            axes = figure.add_axes((left + 0.003, 0.15 / (height + 0.35), width / 7.2 - 0.006, top))
            _show(axes, pixels, spacing, limits)
            axes.set_title(label_of(arm, labels), fontsize=7, pad=2)
        figure.text(0.5, 0.03, note, ha="center", fontsize=6.5)
        return figure_bytes(figure, image_format)


def _slice(image: npt.ArrayLike) -> Image:
    pixels = np.asarray(image, dtype=np.float64)
    if pixels.ndim != 2 or not np.isfinite(pixels).all():
        raise ValueError("An image must be one slice (rows, columns) of finite numbers.")
    return pixels


def _window(pixels: Image, window: tuple[float, float] | None) -> tuple[float, float]:
    if window is None:
        low, high = np.quantile(pixels, [0.01, 0.995])
        # An image of one grey has no range of its own.
        return float(low), float(max(high, low + 1e-9))
    if not window[0] < window[1]:
        raise ValueError("The window must be two values, the darker first.")
    return window


def _size(pixels: Image, spacing: tuple[float, float], width: float) -> tuple[float, float]:
    """Inches that keep the proportions of the anatomy."""
    rows, columns = pixels.shape
    return width, width * rows * spacing[0] / (columns * spacing[1])


def _show(
    axes: Axes, pixels: Image, spacing: tuple[float, float], window: tuple[float, float]
) -> None:
    rows, columns = pixels.shape
    # Edges in millimetres: the centre of the first pixel is the origin.
    edges = (
        -spacing[1] / 2,
        (columns - 0.5) * spacing[1],
        (rows - 0.5) * spacing[0],
        -spacing[0] / 2,
    )
    axes.imshow(
        pixels, cmap="gray", vmin=window[0], vmax=window[1], extent=edges, interpolation="nearest"
    )
    axes.set_axis_off()
