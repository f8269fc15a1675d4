"""Figures of images from files: formats, orientation, one window, and refusals with their place."""

import io
import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from analysis import InputError
from analysis.image_figures import match_factors
from analysis.image_input import ImageFigure, read_images
from tests.analysis.published_study import PLAN


def document(**entry: Any) -> str:
    figure = {"name": "figure5", "images": {"STD": "std.npy"}, **entry}
    return json.dumps({"format": "readerstudy-figure-images", "version": 1, "figures": [figure]})


def read(folder: Path, **entry: Any) -> ImageFigure:
    return read_images(document(**entry), folder, PLAN)[0]


@pytest.fixture
def volume(tmp_path: Path) -> np.ndarray:
    """An array (right, anterior, superior) whose value tells its place, in several files."""
    r, a, s = np.mgrid[0:5, 0:6, 0:7]
    data = (100 * r + 10 * a + s).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(data, np.diag([2.0, 0.5, 0.8, 1])), tmp_path / "ras.nii.gz")
    # The same anatomy stored the other way round.
    flip = np.diag([-2.0, -0.5, -0.8, 1.0])
    flip[:3, 3] = [8.0, 2.5, 4.8]
    turned = np.ascontiguousarray(data[::-1, ::-1, ::-1])
    nibabel.save(nibabel.Nifti1Image(turned, flip), tmp_path / "lpi.nii")
    np.save(tmp_path / "std.npy", np.moveaxis(data, 0, 0))
    Image.fromarray(np.arange(30, dtype=np.uint8).reshape(5, 6)).save(tmp_path / "grey.png")
    Image.fromarray(np.zeros((5, 6, 3), np.uint8)).save(tmp_path / "colour.png")
    return data


@pytest.mark.parametrize(
    ("plane", "shape", "spacing", "corner"),
    [
        # Top left: superior and anterior; superior and right; anterior and right.
        ("sagittal", (7, 6), (0.8, 0.5), 100 * 1 + 10 * 5 + 6),
        ("coronal", (7, 5), (0.8, 2.0), 100 * 4 + 10 * 1 + 6),
        ("axial", (6, 5), (0.5, 2.0), 100 * 4 + 10 * 5 + 1),
    ],
)
def test_a_slice_is_shown_as_radiologists_see_it_however_it_is_stored(
    tmp_path: Path,
    volume: np.ndarray,
    plane: str,
    shape: tuple[int, int],
    spacing: tuple[float, float],
    corner: int,
) -> None:
    for name in ("ras.nii.gz", "lpi.nii"):
        found = read(tmp_path, images={"STD": name}, plane=plane, slice=2)
        assert found.images["STD"].shape == shape
        assert found.spacing == pytest.approx(spacing)
        assert found.images["STD"][0, 0] == corner


def test_arrays_and_greyscale_pictures_are_read_with_their_spacing(
    tmp_path: Path, volume: np.ndarray
) -> None:
    found = read(tmp_path, slice=3, spacing_mm=[1, 2])
    np.testing.assert_array_equal(found.images["STD"], volume[2])
    assert found.spacing == (1, 2)
    grey = read(tmp_path, images={"DF": "grey.png"}, spacing_mm=[1, 1])
    assert grey.images["DF"][0, :3].tolist() == [0, 1, 2]


def test_matching_brings_every_arm_to_the_controls_median_and_says_so(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    body = np.zeros((40, 40))
    body[8:32, 8:32] = 200
    control = np.abs(body + generator.normal(0, 5, body.shape))
    for name, image in (("std", control), ("df", 0.4 * control)):
        np.save(tmp_path / f"{name}.npy", image)
    images = {"DF": "df.npy", "STD": "std.npy"}
    found = read(tmp_path, images=images, spacing_mm=[1, 1], match="body_median")
    assert list(found.images) == ["STD", "DF"], "protocol order, whatever the document's"
    np.testing.assert_allclose(found.images["DF"], control)
    assert found.options["note"] == "Scaled to the body's median of STD: DF × 2.5."
    assert match_factors({"STD": control, "DF": 0.4 * control}, "STD")["DF"] == pytest.approx(2.5)
    plain = read(tmp_path, images=images, spacing_mm=[1, 1])
    np.testing.assert_allclose(plain.images["DF"], 0.4 * control)


def grey_of(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("L"), dtype=float)


def test_a_scale_bar_has_its_length_in_millimetres(tmp_path: Path) -> None:
    np.save(tmp_path / "std.npy", np.zeros((60, 60)))
    for length in (10.0, 20.0):
        found = read(tmp_path, spacing_mm=[1, 1], window=[0, 1], scale_bar_mm=length)
        drawn = grey_of(found.draw("png"))
        panel = drawn[90:-90, 60:-60]
        lit = panel > 250
        # The longest run of white in a row is the bar; the panel is 60 mm wide.
        widest = max(int(row.sum()) for row in lit)
        assert widest / drawn.shape[1] * 60 == pytest.approx(length, rel=0.05)


def test_a_crop_shows_only_its_part(tmp_path: Path) -> None:
    image = np.zeros((40, 40))
    image[:, 20:] = 100
    np.save(tmp_path / "std.npy", image)
    options = {"spacing_mm": [1, 1], "window": [0, 100], "scale_bar_mm": 0}
    found = read(tmp_path, **options, crop_mm=[22, 5, 10, 10])
    drawn = grey_of(found.draw("png"))
    assert np.median(drawn[200:1500, 200:1500]) == 255
    with pytest.raises(InputError, match=r"images, figure5: What is shown .* must lie within"):
        read(tmp_path, **options, crop_mm=[30, 5, 20, 10]).draw("png")
    with pytest.raises(InputError, match="images, figure5: The window must be two values"):
        read(tmp_path, spacing_mm=[1, 1], window=[5, 5]).draw("png")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"images": {"QUAD": "std.npy"}}, r'images, figures\[0\], images: "QUAD" is not in'),
        ({"images": {"STD": "none.npy"}}, r"figures\[0\], images, STD: there is no file"),
        ({"images": {"STD": "colour.png"}, "spacing_mm": [1, 1]}, "colour.png has colours"),
        ({"images": {"STD": "text.txt"}}, "text.txt is neither .npy, .nii"),
        ({"images": {"STD": "broken.nii"}, "plane": "axial", "slice": 1}, "cannot be read"),
        ({"images": {"STD": "ras.nii.gz"}, "slice": 1}, r"give plane \(sagittal"),
        ({"images": {"STD": "ras.nii.gz"}, "plane": "axial"}, "7 slices; give slice"),
        ({"images": {"STD": "ras.nii.gz"}, "plane": "axial", "slice": 8}, "no slice 8 of 7"),
        ({"slice": 1}, "std.npy tells no pixel spacing; give spacing_mm"),
        (
            {"images": {"STD": "std.npy", "DF": "grey.png"}, "slice": 1, "spacing_mm": [1, 1]},
            r"images, DF: \(5, 6\) pixels, but STD has \(6, 7\)",
        ),
        ({"slice": 1, "spacing_mm": [1, 0]}, r"figures\[0\], spacing_mm\[1\]: 0 is less than"),
        ({"colour": 1}, "'colour' was unexpected"),
        (
            {
                "slice": 1,
                "spacing_mm": [1, 1],
                "regions": [{"tissue": "liver", "centre_mm": [1, 1], "semi_axes_mm": [1, 1]}],
            },
            r'regions\[0\], tissue: "liver" is not in the plan',
        ),
    ],
)
def test_a_fault_is_named_with_its_place(
    tmp_path: Path, volume: np.ndarray, entry: dict[str, Any], words: str
) -> None:
    (tmp_path / "text.txt").write_text("no image")
    (tmp_path / "broken.nii").write_bytes(b"no image")
    with pytest.raises(InputError, match=words):
        read(tmp_path, **entry)


def test_regions_are_drawn_on_the_image_of_one_arm(tmp_path: Path, volume: np.ndarray) -> None:
    regions = [{"tissue": "fat", "centre_mm": [3, 3], "semi_axes_mm": [1, 1]}]
    found = read(tmp_path, slice=1, spacing_mm=[1, 1], regions=regions)
    assert found.draw("pdf").startswith(b"%PDF")
    images = {"STD": "std.npy", "DF": "std.npy"}
    with pytest.raises(InputError, match="regions are drawn on the image of one arm"):
        read(tmp_path, images=images, slice=1, spacing_mm=[1, 1], regions=regions)
