"""Figures of images: outlines lie where the region's pixels lie, and arms share one window."""

import io

import numpy as np
import pytest
from PIL import Image

from analysis import ellipse_region
from analysis.image_figures import EllipseOutline, figure_2, figure_panels


def picture(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"), dtype=float)


def test_an_outline_encloses_the_pixels_of_its_region() -> None:
    # The region's own pixels are white on black: the coloured outline must run along their edge.
    geometry = {"centre": (30.0, 16.0), "semi_axes": (14.0, 6.0), "angle_degrees": 30.0}
    region = ellipse_region((48, 40), (1.0, 1.5), **geometry)  # type: ignore[arg-type]
    outline = EllipseOutline(**geometry)  # type: ignore[arg-type]
    white = region.mask.astype(float)
    drawn = picture(
        figure_2(
            white, {"": outline}, (1.0, 1.5), window=(0, 1), scale_bar_mm=0, image_format="png"
        )
    )
    coloured = np.abs(drawn[..., 0] - drawn[..., 2]) > 60
    inside = drawn.min(axis=2) > 250
    rows, columns = np.nonzero(coloured)
    pixel = drawn.shape[1] / 40
    # Within the slice, off the strip below it and the rounding of its edges.
    inside[round(47.5 * pixel / 1.5) :] = False
    inside[:, :5], inside[:, -5:], inside[:5] = False, False, False
    held = np.nonzero(inside)
    for edge, own in ((rows, held[0]), (columns, held[1])):
        assert abs(edge.min() - own.min()) < pixel
        assert abs(edge.max() - own.max()) < pixel


def test_panels_share_one_window() -> None:
    dark, bright = np.full((20, 20), 40.0), np.full((20, 20), 80.0)
    images = {"STD": dark, "DLR": bright}
    drawn = picture(figure_panels(images, (1, 1), window=(0, 100), image_format="png"))
    middle = drawn[len(drawn) // 2]
    left, right = middle[len(middle) // 4].mean(), middle[3 * len(middle) // 4].mean()
    assert left == pytest.approx(0.4 * 255, abs=3)
    assert right == pytest.approx(0.8 * 255, abs=3)


def test_panels_stand_in_protocol_order() -> None:
    images = {"STD": np.full((20, 20), 40.0), "DLR": np.full((20, 20), 80.0)}
    turned = figure_panels(images, (1, 1), arms=("DLR", "STD"), window=(0, 100), image_format="png")
    middle = picture(turned)[300]
    assert middle[len(middle) // 4].mean() > middle[3 * len(middle) // 4].mean()


def test_images_that_cannot_be_shown_are_refused() -> None:
    square = np.eye(8)
    with pytest.raises(ValueError, match="same shape"):
        figure_panels({"A": square, "B": np.eye(9)}, (1, 1))
    with pytest.raises(ValueError, match="no image of B"):
        figure_panels({"A": square}, (1, 1), arms=("A", "B"))
    with pytest.raises(ValueError, match="finite"):
        figure_2(np.full((8, 8), np.nan), {"fat": EllipseOutline((1, 1), (1, 1))}, (1, 1))
    with pytest.raises(ValueError, match="no region"):
        figure_2(square, {}, (1, 1))
