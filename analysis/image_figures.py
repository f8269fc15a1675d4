"""Figures of images: where the regions lie (Figure 2), and the arms side by side (Figures 5, 6)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import cos, hypot, radians, sin

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from matplotlib.patheffects import withStroke

from analysis.figure_style import ImageFormat, drawing, figure_bytes, note_lines
from analysis.tables import label_of

Image = npt.NDArray[np.float64]
# Those of Okabe and Ito's colours that stand out from a dark image.
_ON_DARK = ("#E69F00", "#56B4E9", "#F0E442", "#009E73", "#CC79A7", "#D55E00")
# Inches: of a line of the note below; above a panel, for its name; of a whole page.
_LINE = 0.12
_TITLE = 0.2
_FULL_WIDTH = 7.2
_FULL_HEIGHT = 9.0
_NARROWEST = 3.5
_GAP = 0.04
# Lengths of a scale bar in mm.
_ROUND = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
# Left, top, width and height in mm.
Box = tuple[float, float, float, float]
# Text and arrows stay legible on any grey.
_OUTLINE = withStroke(linewidth=1.2, foreground="black")


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
    crop_mm: Box | None = None,
    scale_bar_mm: float | None = None,
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
    crop_mm : (float, float, float, float), optional
        Left, top, width and height of what is shown; everything by default.
    scale_bar_mm : float, optional
        Length of the scale bar; 0 for none, about a quarter of the width by default.
    image_format : {"svg", "png", "pdf"}
    note : str
        Shown below, after the window.

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
    box = _box(pixels, spacing, crop_mm)
    limits = _window(pixels, window)
    text = f"Window: {_plain(limits[0])} to {_plain(limits[1])}."
    with drawing():
        width, height = _fitted(box, 5.0, _FULL_HEIGHT)
        said = note_lines("\n".join(filter(None, (text, note))), width)
        strip = 0.08 + _LINE * len(said.splitlines())
        figure = Figure(figsize=(width, height + strip))
        axes = figure.add_axes((0.0, strip / (height + strip), 1.0, height / (height + strip)))
        _show(axes, pixels, spacing, limits, box)
        for number, (tissue, outline) in enumerate(outlines.items()):
            colour = _ON_DARK[number % len(_ON_DARK)]
            axis_a, axis_b = 2 * outline.semi_axes[0], 2 * outline.semi_axes[1]
            # The y axis points down, so a positive angle turns clockwise on the screen.
            shape = Ellipse(
                outline.centre, axis_a, axis_b, angle=outline.angle_degrees, fill=False, lw=1.2
            )
            shape.set_edgecolor(colour)
            axes.add_patch(shape)
            # Beside the ellipse, on the side with more room.
            right = outline.centre[0] < box[0] + 0.6 * box[2]
            turn = radians(outline.angle_degrees)
            reach = hypot(outline.semi_axes[0] * cos(turn), outline.semi_axes[1] * sin(turn))
            reach *= 1.0 if right else -1.0
            label = axes.annotate(
                label_of(tissue, labels),
                (outline.centre[0] + reach, outline.centre[1]),
                xytext=(5 if right else -5, 0),
                textcoords="offset points",
                color=colour,
                fontsize=8,
                ha="left" if right else "right",
                va="center",
                # On its own dark ground: an outline alone is lost on a bright tissue.
                bbox={"boxstyle": "round,pad=0.2", "facecolor": "black", "alpha": 0.7, "lw": 0},
            )
            label.set_path_effects([_OUTLINE])
        _scale_bar(axes, box, scale_bar_mm, width)
        figure.text(0.5, 0.04 / (height + strip), said, ha="center", fontsize=6.5)
        return figure_bytes(figure, image_format)


def figure_panels(
    images: Mapping[str, npt.ArrayLike],
    spacing: tuple[float, float],
    labels: Mapping[str, str] | None = None,
    *,
    arms: Sequence[str] | None = None,
    reference: str | None = None,
    window: tuple[float, float] | None = None,
    crop_mm: Box | None = None,
    scale_bar_mm: float | None = None,
    arrows_mm: Sequence[tuple[float, float]] = (),
    columns: int | None = None,
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
    reference : str, optional
        The arm that the window is taken from, where none is given; the first by default.
    window : (float, float), optional
        One for all panels: a window of each arm's own would hide a difference.
    crop_mm : (float, float, float, float), optional
        Left, top, width and height of what is shown; everything by default.
    scale_bar_mm : float, optional
        Length of the scale bar in the first panel; 0 for none, about a quarter of the width by
        default.
    arrows_mm : sequence of (float, float)
        Points that an arrow shows in every panel.
    columns : int, optional
        Panels in a line; all in one by default.
    image_format : {"svg", "png", "pdf"}
    note : str
        Shown below, after the window.

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
    slices = {arm: _slice(images[arm]) for arm in order}
    if len({pixels.shape for pixels in slices.values()}) > 1:
        raise ValueError("The images of the arms must have the same shape, slice by slice.")
    first = slices[order[0]]
    limits = _window(slices.get(reference or order[0], first), window)
    box = _box(first, spacing, crop_mm)
    across = min(columns or len(order), len(order))
    lines = -(-len(order) // across)
    text = "\n".join(
        filter(
            None, (f"One window in all panels: {_plain(limits[0])} to {_plain(limits[1])}.", note)
        )
    )
    with drawing():
        width, height = _fitted(box, _FULL_WIDTH / across, _FULL_HEIGHT / lines)
        # Narrow panels stand in the middle of a page wide enough for the text below.
        page = max(across * width, _NARROWEST)
        text = note_lines(text, page)
        strip = 0.08 + _LINE * len(text.splitlines())
        total = lines * (height + _TITLE) + strip
        margin = (page - across * width) / 2
        figure = Figure(figsize=(page, total))
        for number, arm in enumerate(order):
            line, column = divmod(number, across)
            bottom = strip + (lines - 1 - line) * (height + _TITLE)
            left = (margin + column * width + _GAP / 2) / page
            axes = figure.add_axes((left, bottom / total, (width - _GAP) / page, height / total))
            _show(axes, slices[arm], spacing, limits, box)
            axes.set_title(label_of(arm, labels), fontsize=7.5, pad=2)
            for point in arrows_mm:
                _arrow(axes, point)
            if number == 0:
                _scale_bar(axes, box, scale_bar_mm, width)
        figure.text(0.5, 0.04 / total, text, ha="center", fontsize=6.5)
        return figure_bytes(figure, image_format)


def _plain(value: float) -> str:
    """Four digits, and all of a large whole number: no power of ten in a legend."""
    return f"{value:.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def match_factors(images: Mapping[str, npt.ArrayLike], reference: str) -> dict[str, float]:
    """By what each arm is multiplied so that its median in the body is that of the reference.

    Scanners scale each series by themselves; for display alone, never for measuring.

    Parameters
    ----------
    images : mapping of str to array_like, shape (rows, columns)
        By arm; all of one shape.
    reference : str
        The arm whose body (above Otsu's threshold) and median count.

    Returns
    -------
    dict of str to float
        1 for the reference.

    Raises
    ------
    ValueError
        If the reference has no image, or the median of an arm is not positive.

    References
    ----------
    Otsu N. IEEE Trans Syst Man Cybern 1979;9:62-66.

    Examples
    --------
    >>> image = np.kron([[0.0, 0.0], [100.0, 100.0]], np.ones((4, 4)))
    >>> match_factors({"STD": image, "DLR": image / 2}, "STD")
    {'STD': 1.0, 'DLR': 2.0}
    """
    if reference not in images:
        raise ValueError(f"There is no image of {reference}.")
    own = _slice(images[reference])
    body = own > _otsu(own)
    medians = {arm: float(np.median(_slice(image)[body])) for arm, image in images.items()}
    dark = [arm for arm, median in medians.items() if not median > 0]
    if dark:
        raise ValueError(f"The body of {', '.join(dark)} is not brighter than zero.")
    return {arm: medians[reference] / median for arm, median in medians.items()}


def _otsu(pixels: Image) -> float:
    """The threshold that best parts dark from bright."""
    counts, edges = np.histogram(pixels, 256)
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    sums = np.cumsum(counts * middles)
    usable = (below > 0) & (above > 0)
    if not usable.any():
        raise ValueError("An image of one grey shows no body.")
    low = sums[:-1] / np.maximum(below, 1)
    high = (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    spread = np.where(usable, below * above * (high - low) ** 2, -1.0)
    return float(edges[1:-1][int(np.argmax(spread))])


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


def _box(pixels: Image, spacing: tuple[float, float], crop: Box | None) -> Box:
    """Left, top, width and height in mm; the centre of the first pixel is the origin."""
    rows, columns = pixels.shape
    whole = (-spacing[1] / 2, -spacing[0] / 2, columns * spacing[1], rows * spacing[0])
    if crop is None:
        return whole
    left, top, width, height = crop
    inside = left >= whole[0] - 1e-6 and top >= whole[1] - 1e-6
    inside &= left + width <= whole[0] + whole[2] + 1e-6
    inside &= top + height <= whole[1] + whole[3] + 1e-6
    if width <= 0 or height <= 0 or not inside:
        raise ValueError(
            f"What is shown (left {left:g}, top {top:g}, {width:g} × {height:g} mm) must lie "
            f"within the slice of {whole[2]:g} × {whole[3]:g} mm."
        )
    return crop


def _fitted(box: Box, width: float, height: float) -> tuple[float, float]:
    """The largest panel of the box's proportions within a width and a height, in inches."""
    share = min(width / box[2], height / box[3])
    return box[2] * share, box[3] * share


def _show(
    axes: Axes,
    pixels: Image,
    spacing: tuple[float, float],
    window: tuple[float, float],
    box: Box,
) -> None:
    left, top, width, height = _box(pixels, spacing, None)
    edges = (left, left + width, top + height, top)
    axes.imshow(
        pixels, cmap="gray", vmin=window[0], vmax=window[1], extent=edges, interpolation="nearest"
    )
    axes.set_xlim(box[0], box[0] + box[2])
    axes.set_ylim(box[1] + box[3], box[1])
    axes.set_axis_off()


def _scale_bar(axes: Axes, box: Box, length: float | None, inches: float) -> None:
    """A bar at the lower left with its length."""
    if length is None:
        length = max((size for size in _ROUND if size <= box[2] / 3.5), default=0.0)
    if not length:
        return
    margin = 0.04 * box[2]
    x, y = box[0] + margin, box[1] + box[3] - margin
    axes.plot([x, x + length], [y, y], color="black", lw=3.4, solid_capstyle="butt")
    axes.plot([x, x + length], [y, y], color="white", lw=2, solid_capstyle="butt")
    label = axes.annotate(
        f"{length:g} mm",
        (x + length / 2, y),
        xytext=(0, 3),
        textcoords="offset points",
        color="white",
        fontsize=min(8.0, 3 + 2 * inches),
        ha="center",
        va="bottom",
    )
    label.set_path_effects([_OUTLINE])


def _arrow(axes: Axes, point: tuple[float, float]) -> None:
    axes.annotate(
        "",
        point,
        xytext=(-9, -9),
        textcoords="offset points",
        arrowprops={
            "arrowstyle": "-|>",
            "color": "white",
            "lw": 1.0,
            "shrinkA": 0,
            "shrinkB": 0,
            "path_effects": [_OUTLINE],
        },
    )
