"""Slices for the figures of images, from npy, NIfTI and PNG files that a document names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from analysis.figure_style import ImageFormat
from analysis.image_figures import EllipseOutline, figure_2, figure_panels, match_factors
from analysis.input_checks import InputError
from analysis.json_document import read_document
from analysis.plan import AnalysisPlan
from analysis.tables import label_of

SCHEMA = Path(__file__).with_name("images.schema.json")
Slice = npt.NDArray[np.float64]
# The axis of a canonical (right, anterior, superior) volume that a plane cuts.
_CUT = {"sagittal": 0, "coronal": 1, "axial": 2}
_MOST_PIXELS = 4096 * 4096


@dataclass(frozen=True)
class ImageFigure:
    """One figure: its slices, and how they are shown.

    Attributes
    ----------
    name : str
        Of its files.
    images : dict of str to numpy.ndarray, shape (rows, columns), float64
        By arm, in protocol order.
    spacing : (float, float)
        Distance of rows and of columns in mm.
    outlines : dict of str to EllipseOutline
        By tissue; empty for panels of arms.
    options : dict
        Further arguments of the figure function.
    """

    name: str
    images: dict[str, Slice]
    spacing: tuple[float, float]
    outlines: dict[str, EllipseOutline]
    options: dict[str, Any]

    def draw(self, image_format: ImageFormat, labels: Mapping[str, str] | None = None) -> bytes:
        """The figure in a format: regions on the one image, or every arm side by side.

        Raises
        ------
        InputError
            If the window is empty, or what is to be shown lies outside the slice.
        """
        options: dict[str, Any] = {**self.options, "image_format": image_format}
        try:
            if self.outlines:
                image = next(iter(self.images.values()))
                return figure_2(image, self.outlines, self.spacing, labels, **options)
            return figure_panels(self.images, self.spacing, labels, **options)
        except ValueError as error:
            raise InputError(f"images, {self.name}: {error}") from None


def read_images(
    text: str,
    folder: Path,
    plan: AnalysisPlan,
    labels: Mapping[str, str] | None = None,
    seen: Callable[[Path], None] = lambda path: None,
) -> list[ImageFigure]:
    """The figures of images that a document describes, with their slices read.

    Parameters
    ----------
    text : str
        JSON after ``analysis/images.schema.json``.
    folder : pathlib.Path
        What the names of files are relative to.
    plan : AnalysisPlan
        Its arms and their order; the control's image sets the window.
    labels : mapping of str to str, optional
        Names for codes of arms, for the note on scaling.
    seen : callable
        Is told of each file that was read.

    Returns
    -------
    list of ImageFigure

    Raises
    ------
    InputError
        If the document does not fit the schema, names an unknown arm or tissue, or a file cannot be
        read, has another shape than the control's, or lacks what it needs (slice, plane, spacing).

    Examples
    --------
    >>> plan = AnalysisPlan(arms=("A", "B"), control="A", comparisons=(("A", "B"),))
    >>> text = '''{"format": "readerstudy-figure-images", "version": 1,
    ...            "figures": [{"name": "figure5", "images": {"X": "x.npy"}}]}'''
    >>> read_images(text, Path("."), plan)
    Traceback (most recent call last):
    ...
    analysis.input_checks.InputError: images, figures[0], images: "X" is not in the plan (A, B).
    """
    document = read_document(text, "images", SCHEMA, InputError)
    found: list[ImageFigure] = []
    for number, entry in enumerate(document["figures"]):
        place = f"images, figures[{number}]"
        if entry["name"] in [figure.name for figure in found]:
            raise InputError(f'{place}, name: "{entry["name"]}" is there twice.')
        found.append(_figure(entry, place, folder, plan, labels, seen))
    return found


def _figure(
    entry: dict[str, Any],
    place: str,
    folder: Path,
    plan: AnalysisPlan,
    labels: Mapping[str, str] | None,
    seen: Callable[[Path], None],
) -> ImageFigure:
    strange = [arm for arm in entry["images"] if arm not in plan.arms]
    if strange:
        raise InputError(
            f'{place}, images: "{strange[0]}" is not in the plan ({", ".join(plan.arms)}).'
        )
    arms = [arm for arm in plan.arms if arm in entry["images"]]
    outlines = _outlines(entry, place, plan)
    if outlines and len(arms) != 1:
        raise InputError(f"{place}, images: regions are drawn on the image of one arm.")
    images: dict[str, Slice] = {}
    spacings: dict[str, tuple[float, float]] = {}
    for arm in arms:
        where = f"{place}, images, {arm}"
        path = folder / entry["images"][arm]
        images[arm], spacings[arm] = _read(path, where, entry)
        seen(path)
    base = plan.control if plan.control in images else arms[0]
    for arm in arms:
        if images[arm].shape != images[base].shape:
            raise InputError(
                f"{place}, images, {arm}: {images[arm].shape} pixels, but {base} has "
                f"{images[base].shape}; panels need the same slice on the same grid."
            )
        if not np.allclose(spacings[arm], spacings[base], rtol=1e-3):
            raise InputError(f"{place}, images, {arm}: another pixel spacing than that of {base}.")
    names = ("window", "crop_mm")
    options: dict[str, Any] = {name: tuple(entry[name]) for name in names if name in entry}
    options["scale_bar_mm"] = entry.get("scale_bar_mm")
    options["note"] = entry.get("note", "")
    if not outlines:
        options["reference"] = base
        options["columns"] = entry.get("columns")
        options["arrows_mm"] = [tuple(point) for point in entry.get("arrows_mm", [])]
        if entry.get("match") == "body_median":
            try:
                factors = match_factors(images, base)
            except ValueError as error:
                raise InputError(f"{place}, match: {error}") from None
            images = {arm: images[arm] * factors[arm] for arm in arms}
            told = ", ".join(
                f"{label_of(arm, labels)} × {factors[arm]:.3g}" for arm in arms if arm != base
            )
            scaled = f"Scaled to the body's median of {label_of(base, labels)}: {told}."
            options["note"] = "\n".join(filter(None, (scaled, options["note"])))
    return ImageFigure(entry["name"], images, spacings[base], outlines, options)


def _outlines(entry: dict[str, Any], place: str, plan: AnalysisPlan) -> dict[str, EllipseOutline]:
    known = (*plan.tissues, plan.air) if plan.air else plan.tissues
    found: dict[str, EllipseOutline] = {}
    for number, region in enumerate(entry.get("regions", [])):
        tissue = region["tissue"]
        if tissue not in known or tissue in found:
            fault = "is there twice" if tissue in found else "is not in the plan"
            raise InputError(
                f'{place}, regions[{number}], tissue: "{tissue}" {fault} ({", ".join(known)}).'
            )
        found[tissue] = EllipseOutline(
            (region["centre_mm"][0], region["centre_mm"][1]),
            (region["semi_axes_mm"][0], region["semi_axes_mm"][1]),
            region.get("angle_degrees", 0.0),
        )
    return found


def _read(path: Path, where: str, entry: dict[str, Any]) -> tuple[Slice, tuple[float, float]]:
    """One slice as it is shown, and its spacing."""
    if not path.is_file():
        raise InputError(f"{where}: there is no file {path}.")
    name = path.name.lower()
    try:
        if name.endswith((".nii", ".nii.gz")):
            pixels, spacing = _nifti(path, where, entry)
        elif name.endswith(".npy"):
            pixels, spacing = _layer(np.load(path, allow_pickle=False), where, entry), None
        elif name.endswith(".png"):
            pixels, spacing = _png(path, where), None
        else:
            raise InputError(f"{where}: {path.name} is neither .npy, .nii, .nii.gz nor .png.")
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a broken file makes its reader raise
        raise InputError(f"{where}: {path.name} cannot be read ({type(error).__name__}).") from None
    if spacing is None:
        if "spacing_mm" not in entry:
            raise InputError(f"{where}: {path.name} tells no pixel spacing; give spacing_mm.")
        spacing = (entry["spacing_mm"][0], entry["spacing_mm"][1])
    if pixels.size > _MOST_PIXELS or not np.isfinite(pixels).all():
        raise InputError(f"{where}: a slice of finite numbers, at most 4096 × 4096, is needed.")
    return pixels, spacing


def _png(path: Path, where: str) -> Slice:
    with Image.open(path) as image:
        if image.mode not in ("1", "L", "I", "I;16", "I;16B", "F"):
            raise InputError(f"{where}: {path.name} has colours; a greyscale image is needed.")
        if image.width * image.height > _MOST_PIXELS:
            raise InputError(f"{where}: {path.name} is larger than 4096 × 4096.")
        return np.asarray(image, dtype=np.float64)


def _layer(volume: npt.NDArray[Any], where: str, entry: dict[str, Any]) -> Slice:
    """The slice of an array: (rows, columns), or one of (slices, rows, columns)."""
    if volume.ndim == 2:
        return np.asarray(volume, dtype=np.float64)
    if volume.ndim != 3:
        raise InputError(f"{where}: {volume.ndim} dimensions, where 2 or 3 are needed.")
    return np.asarray(volume[_index(volume.shape[0], where, entry)], dtype=np.float64)


def _index(count: int, where: str, entry: dict[str, Any]) -> int:
    if "slice" not in entry:
        raise InputError(f"{where}: {count} slices; give slice, counted from 1.")
    if entry["slice"] > count:
        raise InputError(f"{where}: there is no slice {entry['slice']} of {count}.")
    return int(entry["slice"]) - 1


def _nifti(
    path: Path, where: str, entry: dict[str, Any]
) -> tuple[Slice, tuple[float, float] | None]:
    """A slice as radiologists see it: the patient's right on the left, or anterior on the left."""
    import nibabel

    image: Any = nibabel.as_closest_canonical(nibabel.load(path))
    volume = np.asanyarray(image.dataobj)
    if volume.ndim == 4 and volume.shape[3] == 1:
        volume = volume[..., 0]
    if volume.ndim != 3:
        raise InputError(f"{where}: {volume.ndim} dimensions, where 3 are needed.")
    if "plane" not in entry:
        raise InputError(f"{where}: give plane (sagittal, coronal or axial).")
    cut = _CUT[entry["plane"]]
    layer = np.take(volume, _index(volume.shape[cut], where, entry), axis=cut)
    sizes = [float(size) for axis, size in enumerate(image.header.get_zooms()[:3]) if axis != cut]
    # What remains are two axes, each towards right, anterior or superior: shown downwards and to
    # the right, they run the other way.
    return np.asarray(layer[::-1, ::-1].T, dtype=np.float64), (sizes[1], sizes[0])
