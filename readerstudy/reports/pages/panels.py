"""Representative images: one slice in the chosen arms, side by side, in the control's window.

Only after unblinding. A picture beside a letter would show which letter is noisy and which is
smooth, and so open the key to whoever looks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from django import forms
from PIL import Image

from analysis.figure_style import ImageFormat
from analysis.image_figures import EllipseOutline, figure_2, figure_panels
from readerstudy.conduct.comparison import comparison_slice, named_series
from readerstudy.imaging.geometry import Geometry, differences
from readerstudy.imaging.models import Series, Volunteer
from readerstudy.imaging.selectors import control_series, display_window, geometry_of
from readerstudy.measurements.selectors import latest_regions
from readerstudy.reports.report import Report
from readerstudy.studies.models import Study

_SCALE_BARS = ("", "5", "10", "20", "50", "100")


def imaged_volunteers(study: Study) -> list[str]:
    """Codes of the volunteers whose control can be shown."""
    found = Series.objects.filter(volunteer__study=study, arm__is_control=True)
    codes = found.order_by("volunteer__code").values_list("volunteer__code", "volunteer__display")
    return [code for code, display in codes if "scale" in display]


@dataclass(frozen=True)
class Panels:
    """What was chosen, checked."""

    volunteer: Volunteer
    series: list[Series]
    grid: Geometry
    index: int
    crop_mm: tuple[float, float, float, float] | None
    columns: int
    scale_bar_mm: float | None
    window: tuple[float, float]

    @property
    def spacing(self) -> tuple[float, float]:
        return self.grid.row_spacing, self.grid.column_spacing


class PanelForm(forms.Form):
    """Volunteer, slice, part of the slice, and arms."""

    volunteer = forms.ChoiceField()
    slice = forms.IntegerField(min_value=1, help_text="From 1, in anatomical order.")
    arms = forms.MultipleChoiceField(widget=forms.CheckboxSelectMultiple)
    left = forms.FloatField(required=False, label="Left, mm")
    top = forms.FloatField(required=False, label="Top, mm")
    width = forms.FloatField(required=False, label="Width, mm", min_value=1)
    height = forms.FloatField(required=False, label="Height, mm", min_value=1)
    across = forms.IntegerField(
        required=False, min_value=1, max_value=8, label="Panels in a line", initial=5
    )
    scale_bar = forms.ChoiceField(
        required=False,
        label="Scale bar",
        choices=[(mm, f"{mm} mm" if mm else "by itself") for mm in _SCALE_BARS],
    )
    centre = forms.FloatField(
        required=False, label="Window centre", help_text="Empty: the control's own."
    )
    window = forms.FloatField(required=False, label="Window width", min_value=1)

    def __init__(self, data: Any, study: Study, report: Report) -> None:
        super().__init__(data, label_suffix="")
        self.study = study
        codes = imaged_volunteers(study)
        self.fields["volunteer"].choices = [(code, code) for code in codes]  # type: ignore[attr-defined]
        self.fields["arms"].choices = [  # type: ignore[attr-defined]
            (code, f"{report.arm_names[code]} ({report.letters[code]})")
            for code in report.plan.arms
        ]

    def panels(self) -> Panels:
        """What a valid form asks for. Raises `forms.ValidationError` where the images do not allow
        it."""
        given = self.cleaned_data
        volunteer = Volunteer.objects.select_related("study").get(
            study=self.study, code=given["volunteer"]
        )
        control = control_series(volunteer)
        if control is None:
            raise forms.ValidationError(f"{volunteer.code} has no image of the control any more.")
        grid = geometry_of(control)
        if given["slice"] > grid.slices:
            raise forms.ValidationError(f"{volunteer.code} has {grid.slices} slices.")
        own = {series.arm.code: series for series in named_series(volunteer)}
        lacking = [code for code in given["arms"] if code not in own]
        if lacking:
            raise forms.ValidationError(f"{volunteer.code} has no images of {', '.join(lacking)}.")
        first = display_window(volunteer)
        centre = first["center"] if given["centre"] is None else given["centre"]
        width = first["width"] if given["window"] is None else given["window"]
        return Panels(
            volunteer,
            [own[code] for code in given["arms"]],
            grid,
            given["slice"] - 1,
            _crop(given, grid),
            given["across"] or min(5, len(given["arms"])),
            float(given["scale_bar"]) if given["scale_bar"] else None,
            (centre - width / 2, centre + width / 2),
        )


def _crop(given: Mapping[str, Any], grid: Geometry) -> tuple[float, float, float, float] | None:
    """Left, top, width, height in mm from the corner of the slice; None for all of it."""
    names = ("left", "top", "width", "height")
    values = [given[name] for name in names]
    if all(value is None for value in values):
        return None
    if any(value is None for value in values):
        raise forms.ValidationError("Of the part shown, give left, top, width and height, or none.")
    left, top, width, height = (float(value) for value in values)
    whole = grid.columns * grid.column_spacing, grid.rows * grid.row_spacing
    if left < 0 or top < 0 or left + width > whole[0] + 0.01 or top + height > whole[1] + 0.01:
        raise forms.ValidationError(
            f"The part shown reaches over the edge: the slice is {whole[0]:.1f} × {whole[1]:.1f} "
            "mm."
        )
    # The figure counts from the centre of the first pixel.
    width, height = min(width, whole[0] - left), min(height, whole[1] - top)
    return left - grid.column_spacing / 2, top - grid.row_spacing / 2, width, height


def first_choice(study: Study, report: Report) -> dict[str, Any]:
    """What the page opens with: the middle slice of the first volunteer, all arms."""
    codes = imaged_volunteers(study)
    if not codes:
        return {}
    volunteer = Volunteer.objects.get(study=study, code=codes[0])
    control = _control(volunteer)
    there = set(Series.objects.filter(volunteer=volunteer).values_list("arm__code", flat=True))
    return {
        "volunteer": codes[0],
        "slice": str(control.slices // 2 + 1),
        "arms": [arm for arm in report.plan.arms if arm in there],
        "across": str(min(5, len(there))),
        "scale_bar": "",
    }


def panels_image(panels: Panels, report: Report, image_format: ImageFormat) -> bytes:
    """The figure. Values are those of the viewer: one display factor a series, one window."""
    pixels = {s.arm.code: _pixels(s, panels) for s in panels.series}
    moved = [s.arm.name for s in panels.series if differences(panels.grid, geometry_of(s))]
    labels = {code: f"{name} ({report.letters[code]})" for code, name in report.arm_names.items()}
    notes = [f"{panels.volunteer.code}, slice {panels.index + 1} of {panels.grid.slices}."]
    notes.append(_matching(panels.series))
    if moved:
        notes.append(f"Resampled to the control's grid: {', '.join(moved)}.")
    return figure_panels(
        pixels,
        panels.spacing,
        labels,
        window=panels.window,
        crop_mm=panels.crop_mm,
        scale_bar_mm=panels.scale_bar_mm,
        columns=panels.columns,
        image_format=image_format,
        note="\n".join([" ".join(notes), *([report.notice] if report.notice else [])]),
    )


def _matching(series: list[Series]) -> str:
    """By what each panel's values were multiplied: what a reader of the figure must know."""
    factors = [f"{one.arm.name}\u00a0×\u00a0{one.display_factor:.3f}" for one in series]
    return f"Brightness matched to the control, one factor a series: {', '.join(factors)}."


@dataclass(frozen=True)
class PlacedRegions:
    """The volunteer's regions, as far as they lie on the slice and in the part shown."""

    outlines: dict[str, EllipseOutline]
    outside: list[str]  # on this slice, outside the part shown
    elsewhere: list[str]  # "Muscle (slice 3)"

    @property
    def text(self) -> str:
        """What is not drawn, in words; empty where all is."""
        said = [f"Outside the part shown: {', '.join(self.outside)}."] if self.outside else []
        if self.elsewhere:
            said.append(f"On other slices: {', '.join(self.elsewhere)}.")
        return " ".join(said)


def placed_regions(panels: Panels, report: Report) -> PlacedRegions:
    placed = PlacedRegions({}, [], [])
    for region in latest_regions(panels.volunteer):
        name = report.row_names.get(region.tissue.code, region.tissue.name)
        if region.slice_index != panels.index:
            placed.elsewhere.append(f"{name} (slice {region.slice_index + 1})")
            continue
        _slice, row, column = panels.grid.to_index(tuple(region.centre))
        centre = (column * panels.grid.column_spacing, row * panels.grid.row_spacing)
        a, b = region.semi_axes_mm
        outline = EllipseOutline(centre, (a, b), region.angle_deg)
        if _is_shown(outline, panels.crop_mm):
            placed.outlines[region.tissue.code] = outline
        else:
            placed.outside.append(name)
    return placed


def _is_shown(outline: EllipseOutline, crop: tuple[float, float, float, float] | None) -> bool:
    """Whether the middle of a region lies in the part shown."""
    if crop is None:
        return True
    (x, y), (left, top, width, height) = outline.centre, crop
    return left <= x <= left + width and top <= y <= top + height


def regions_image(panels: Panels, report: Report, image_format: ImageFormat) -> bytes | None:
    """Figure 2: where the regions lie on the control's slice; None where none lies there."""
    control = _control(panels.volunteer)
    placed = placed_regions(panels, report)
    if not placed.outlines:
        return None
    name = f"{panels.volunteer.code}, slice {panels.index + 1}, {control.arm.name}."
    said = " ".join(filter(None, (name, placed.text)))
    return figure_2(
        _pixels(control, panels),
        placed.outlines,
        panels.spacing,
        report.row_names,
        window=panels.window,
        crop_mm=panels.crop_mm,
        scale_bar_mm=panels.scale_bar_mm,
        image_format=image_format,
        note="\n".join([said, *([report.notice] if report.notice else [])]),
    )


def slices_with_regions(volunteer: Volunteer) -> list[int]:
    """Numbers, from 1, of the slices on which regions lie."""
    return sorted({region.slice_index + 1 for region in latest_regions(volunteer)})


def control_image(panels: Panels) -> bytes:
    """The control's whole slice as a small PNG, pixel for pixel, to choose the part on."""
    control = _control(panels.volunteer)
    low, high = panels.window
    grey = np.clip((_pixels(control, panels) - low) / max(high - low, 1e-9), 0, 1) * 255
    width = round(panels.grid.columns * panels.grid.column_spacing * 2)
    height = round(panels.grid.rows * panels.grid.row_spacing * 2)
    image = Image.fromarray(np.rint(grey).astype(np.uint8)).resize(
        (max(1, width), max(1, height)), Image.Resampling.BILINEAR
    )
    buffer = BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def _control(volunteer: Volunteer) -> Series:
    """Of a volunteer who is known to have one."""
    control = control_series(volunteer)
    if control is None:
        raise LookupError(f"{volunteer.code} has no control series.")
    return control


def _pixels(series: Series, panels: Panels) -> np.ndarray:
    raw = np.frombuffer(comparison_slice(series, panels.index), dtype="<u2")
    return raw.reshape(panels.grid.rows, panels.grid.columns).astype(np.float64)
