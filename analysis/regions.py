"""Regions of interest: which pixels an ellipse holds, and what they measure.

Geometry is in millimetres in the plane of the slice, as the viewer stores it in patient space.
"""

from dataclasses import dataclass
from math import cos, pi, radians, sin

import numpy as np
import numpy.typing as npt

# A centre exactly on the ellipse belongs to it; floating point must not decide otherwise.
EDGE_SLACK = 1e-9


@dataclass(frozen=True)
class EllipseRegion:
    """The pixels of one slice whose centres lie inside an ellipse.

    Attributes
    ----------
    mask : numpy.ndarray, shape (rows, columns), bool
    n_pixels : int
    area_ellipse_mm2 : float
        pi a b.
    area_pixels_mm2 : float
        Counted area: pixels times the area of one.
    """

    mask: npt.NDArray[np.bool_]
    n_pixels: int
    area_ellipse_mm2: float
    area_pixels_mm2: float


@dataclass(frozen=True)
class RegionStatistics:
    """What a region measures in one image.

    Attributes
    ----------
    n_pixels : int
    mean, sd, minimum, maximum, median : float
        In the units of the image after rescaling. `sd` has the divisor n - ddof; NaN for one pixel.
    ddof : int
        1: the sample standard deviation.
    n_zero : int
        Pixels that are exactly zero: many of them mean a masked or clipped background.
    n_at_limits : int
        Pixels at the lowest or highest value that the stored data can hold; 0 when not asked for.
    area_ellipse_mm2, area_pixels_mm2 : float
    """

    n_pixels: int
    mean: float
    sd: float
    ddof: int
    minimum: float
    maximum: float
    median: float
    n_zero: int
    n_at_limits: int
    area_ellipse_mm2: float
    area_pixels_mm2: float


def ellipse_region(
    shape: tuple[int, int],
    spacing: tuple[float, float],
    centre: tuple[float, float],
    semi_axes: tuple[float, float],
    angle_degrees: float = 0.0,
) -> EllipseRegion:
    """The pixels whose centres lie inside an ellipse given in millimetres.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of the slice.
    spacing : (float, float)
        Distance between rows and between columns in mm, in the order of DICOM Pixel Spacing.
    centre : (float, float)
        x (along a row, to the right) and y (down the columns) in mm; the centre of the first pixel
        is (0, 0).
    semi_axes : (float, float)
        a and b in mm.
    angle_degrees : float
        Turn of the axis a from x towards y: clockwise on the screen.

    Returns
    -------
    EllipseRegion
        A pixel belongs when (u/a)^2 + (v/b)^2 <= 1 at its centre, with a slack of 1e-9.

    Raises
    ------
    ValueError
        If the spacing or an axis is not positive, or no pixel centre lies inside.

    Examples
    --------
    >>> region = ellipse_region((48, 40), (1, 1), (20, 24), (5, 5))
    >>> region.n_pixels, round(region.area_ellipse_mm2, 3)
    (81, 78.54)
    """
    rows, columns = shape
    row_spacing, column_spacing = spacing
    a, b = semi_axes
    if not (row_spacing > 0 and column_spacing > 0):
        raise ValueError("The pixel spacing must be two positive lengths in millimetres.")
    if not (a > 0 and b > 0):
        raise ValueError("The ellipse needs two positive semi-axes in millimetres.")
    x = np.arange(columns) * column_spacing - centre[0]
    y = (np.arange(rows) * row_spacing - centre[1])[:, None]
    turn = radians(angle_degrees)
    u = x * cos(turn) + y * sin(turn)
    v = -x * sin(turn) + y * cos(turn)
    mask = (u / a) ** 2 + (v / b) ** 2 <= 1 + EDGE_SLACK
    n = int(mask.sum())
    if n == 0:
        raise ValueError(
            "The region holds no pixel centre: it lies outside the image or is smaller than a "
            "pixel. Move or enlarge it."
        )
    return EllipseRegion(mask, n, pi * a * b, n * row_spacing * column_spacing)


def region_statistics(
    image: npt.ArrayLike,
    region: EllipseRegion,
    *,
    slope: float = 1.0,
    intercept: float = 0.0,
    limits: tuple[float, float] | None = None,
) -> RegionStatistics:
    """Measure a region in one slice.

    Parameters
    ----------
    image : array_like, shape (rows, columns)
        Stored pixel values of the slice.
    region : EllipseRegion
        Made for the same shape.
    slope, intercept : float
        DICOM Rescale Slope and Intercept, applied before measuring, alike in every arm.
    limits : (float, float), optional
        Lowest and highest value that the stored data can hold (0 and 4095 for 12 bits): pixels at
        either are counted as clipped.

    Returns
    -------
    RegionStatistics
        The SD is the sample SD (divisor n - 1), as in ImageJ and VTK; viewers that divide by n
        (Cornerstone3D, pyradiomics) show a slightly smaller one.

    Raises
    ------
    ValueError
        If image and region differ in shape, or the image holds a value that is not a number.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.arange(25.0).reshape(5, 5)
    >>> measured = region_statistics(image, ellipse_region((5, 5), (1, 1), (2, 2), (1, 1)))
    >>> measured.n_pixels, measured.mean, round(measured.sd, 3)
    (5, 12.0, 3.606)
    """
    stored = np.asarray(image)
    if stored.shape != region.mask.shape:
        raise ValueError(
            f"The region was placed on an image of {region.mask.shape} pixels, "
            f"but this one has {stored.shape}."
        )
    inside = stored[region.mask]
    n_at_limits = 0
    if limits is not None:
        n_at_limits = int(((inside <= limits[0]) | (inside >= limits[1])).sum())
    values = inside.astype(np.float64) * slope + intercept
    if not np.isfinite(values).all():
        raise ValueError("The region holds a pixel that is not a number.")
    return RegionStatistics(
        n_pixels=region.n_pixels,
        mean=float(values.mean()),
        sd=_sample_sd(values),
        ddof=1,
        minimum=float(values.min()),
        maximum=float(values.max()),
        median=float(np.median(values)),
        n_zero=int((values == 0).sum()),
        n_at_limits=n_at_limits,
        area_ellipse_mm2=region.area_ellipse_mm2,
        area_pixels_mm2=region.area_pixels_mm2,
    )


def _sample_sd(values: npt.NDArray[np.float64]) -> float:
    if values.size < 2:
        return float("nan")
    # Equal pixels of .1 would otherwise leave a scatter of 1e-17, and an SNR of 1e18.
    return float(values.std(ddof=1)) if values.min() < values.max() else 0.0
