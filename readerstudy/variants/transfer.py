"""Making one series of another image quality: network, warning map, DICOM, provenance."""

from __future__ import annotations

import time
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from django.core.files.storage import default_storage
from pydicom import dcmread
from pydicom.dataset import Dataset

from denoise_engine.dicom import derived_datasets
from denoise_engine.dicom.provenance import NOT_SCANNED_SO
from denoise_engine.errors import EngineError
from readerstudy.imaging.geometry import Geometry, differences
from readerstudy.imaging.models import Series
from readerstudy.imaging.selectors import control_series, geometry_of, load_volume
from readerstudy.imaging.storing import SeriesDraft, write_series
from readerstudy.jobs.context import JobContext, JobError

from .derived_dicom import stored_slice_of
from .evidence import INTERPOLATED, write_flags, write_maps, write_warning_objects
from .models import Variant
from .transfer_grid import MOST_UNCOVERED, coarsened, refined, sampled, uncovered
from .transfer_recipe import CUBIC, METHOD, TransferRecipe

if TYPE_CHECKING:
    from denoise_engine.transfer.enhance import TransferResult

KIND = "transfer"
FLAGGED_SHARE = 0.1
THICKNESS = 0.9  # of the spacing: simulated slices have a small gap, as the models were judged
# What the control's header says of the place of a slice.
PLACE = (
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns"),
    *("SliceThickness", "SpacingBetweenSlices", "SliceLocation", "InstanceNumber"),
)


@dataclass(frozen=True)
class Made:
    """What becomes a series, all on the control's grid: [slices, rows, columns]."""

    volume: np.ndarray
    interpolated: np.ndarray  # the slices that went in, with nothing made up in between
    expected_error: np.ndarray | None  # SD, unit of the images; None without a network
    thick: Geometry  # of the slices that went in
    record: dict[str, Any]


def write_transfer(context: JobContext, variant: Variant, recipe: TransferRecipe) -> SeriesDraft:
    """Make the images of a variant and write the series. Raises JobError."""
    source, control = variant.source, control_series(variant.volunteer)
    if source is None or control is None:
        raise JobError(
            f"{variant.arm.name} of {variant.volunteer.code} is made on the grid of the control, "
            "which is missing: upload it first."
        )
    _check_source(variant, source, control, recipe)
    context.progress(0, 1, "The slices are being looked at")
    started = time.perf_counter()
    try:
        made = _made(context, source, control, recipe)
        context.progress(1, 1, "The images are being stored")
        return _written(context, variant, source, control, recipe, made, started)
    except EngineError as error:
        raise JobError(f"{variant.arm.name} of {variant.volunteer.code}: {error}") from None
    except MemoryError:
        raise JobError(
            "The worker has not enough memory for this volume: start it on a larger machine."
        ) from None


def _check_source(
    variant: Variant, source: Series, control: Series, recipe: TransferRecipe
) -> None:
    lies_alike = not differences(geometry_of(control), geometry_of(source))
    if recipe.keeps_slices and not lies_alike:
        raise JobError(
            f"{source.arm.name} of {variant.volunteer.code} does not lie on the control's grid: "
            "replace it first."
        )
    if recipe.keeps_slices:
        return
    if recipe.is_simulated and not lies_alike:
        raise JobError(
            f"{source.arm.name} of {variant.volunteer.code} does not lie on the control's grid, "
            "but the recipe adds up its thin slices to thick ones. If its slices are thick, choose "
            "a recipe of acquired thick slices."
        )
    if not recipe.is_simulated and lies_alike:
        raise JobError(
            f"{source.arm.name} of {variant.volunteer.code} lies on the control's grid: its slices "
            "are as thin as the control's, and none can be put in between. Choose an arm of thick "
            "slices, or a recipe that adds up thin slices first (simulation)."
        )


def _made(context: JobContext, source: Series, control: Series, recipe: TransferRecipe) -> Made:
    if recipe.keeps_slices:
        grid = geometry_of(source)
        found = _enhanced(context, np.array(load_volume(source)), _spacing(grid, 1), recipe)
        return Made(found.volume, found.interpolated, found.expected_error, grid, found.record)
    if recipe.is_simulated:
        return _from_thin(context, source, recipe)
    return _from_thick(context, source, control, recipe)


def _from_thin(context: JobContext, source: Series, recipe: TransferRecipe) -> Made:
    """Thin slices are added up to thick ones; what is made of these lies where they lay."""
    from denoise_engine.transfer.grids import along_slices, slice_profile

    grid, factor = geometry_of(source), recipe.factor
    thin = np.array(load_volume(source), dtype=np.float32)
    beyond = -len(thin) % factor  # the last thick slice is filled up by mirrored ones
    whole = np.pad(thin, ((0, beyond), (0, 0), (0, 0)), mode="reflect") if beyond else thin
    thick = along_slices(slice_profile(len(whole) // factor, factor, THICKNESS), whole)
    made = _enhanced(context, thick, _spacing(grid, factor), recipe)
    own = coarsened(grid, len(whole) // factor, factor)
    return Made(
        volume=made.volume[: len(thin)],
        interpolated=made.interpolated[: len(thin)],
        expected_error=None if made.expected_error is None else made.expected_error[: len(thin)],
        thick=own,
        record={**made.record, "slice_profile": {"kind": "Gaussian", "thickness": THICKNESS}},
    )


def _from_thick(
    context: JobContext, source: Series, control: Series, recipe: TransferRecipe
) -> Made:
    """Slices that were scanned thick; what is made of them is sampled on the control's grid."""
    own, grid = geometry_of(source), geometry_of(control)
    _check_frame(source, control)
    missing = uncovered(own, grid)
    if missing > MOST_UNCOVERED:
        raise JobError(
            f"The slices of {source.arm.name} leave out {100 * missing:.0f} % of the control's "
            "volume: what lies there was not scanned and cannot be made. Scan both over the same "
            "part of the body."
        )
    made = _enhanced(context, np.array(load_volume(source)), _spacing(own, 1), recipe)
    fine = refined(own, recipe.factor)
    error = made.expected_error
    return Made(
        volume=np.maximum(sampled(made.volume, fine, grid), 0),
        interpolated=sampled(made.interpolated, fine, grid),
        expected_error=None if error is None else sampled(error, fine, grid, order=1),
        thick=own,
        record={**made.record, "sampled_on": "the control's grid, cubic splines"},
    )


def _check_frame(source: Series, control: Series) -> None:
    """Places of two scans can be compared within one frame of reference alone."""
    frames = {
        str(_header(one, 1).get("FrameOfReferenceUID") or one.pk) for one in (source, control)
    }
    if len(frames) > 1:
        raise JobError(
            f"{source.arm.name} and {control.arm.name} were not scanned in one session (their "
            "frames of reference differ): where the slices of one lie in the other is not known."
        )


@dataclass(frozen=True)
class _Enhanced:
    volume: np.ndarray
    interpolated: np.ndarray
    expected_error: np.ndarray | None
    record: dict[str, Any]


def _enhanced(
    context: JobContext,
    thick: np.ndarray,
    spacing: tuple[float, float, float],
    recipe: TransferRecipe,
) -> _Enhanced:
    # The engine loads torch: only here, in the worker.
    from denoise_engine.transfer.checks import checked_scan
    from denoise_engine.transfer.enhance import enhance
    from denoise_engine.transfer.grids import interpolate

    if not recipe.is_network:
        image, warnings = checked_scan(thick, spacing)
        between = np.maximum(interpolate(image, recipe.factor), 0)
        said = {"model": CUBIC, "factor": recipe.factor, "warnings": warnings, "backend": "cpu"}
        return _Enhanced(between, between, None, said)

    def done(count: int, total: int) -> None:
        context.progress(count, total + 1, f"{count} of {total} parts")

    result: TransferResult = enhance(
        thick,
        spacing,
        model=recipe.model,
        factor=recipe.factor,
        samples=recipe.samples,
        progress=done,
    )
    between = interpolate(np.asarray(thick, dtype=np.float32), recipe.factor)
    return _Enhanced(result.volume, between, result.uncertainty, result.record())


def _spacing(grid: Geometry, factor: int) -> tuple[float, float, float]:
    return grid.slice_spacing * factor, grid.row_spacing, grid.column_spacing


# --- What is written ------------------------------------------------------------------------------


def _written(
    context: JobContext,
    variant: Variant,
    source: Series,
    control: Series,
    recipe: TransferRecipe,
    made: Made,
    started: float,
) -> SeriesDraft:
    from .transfer_figures import figures_of

    grid = geometry_of(control)
    found = figures_of(
        made.volume,
        made.interpolated,
        made.expected_error,
        truth=np.asarray(load_volume(source)) if recipe.is_simulated else None,
        spacing=_spacing(grid, 1),
        share=FLAGGED_SHARE,
    )
    provenance = {
        **made.record,
        "kind": KIND,
        "method": METHOD,
        **_thick_record(recipe, made.thick),
        "grid": f"{grid.slices}x{grid.rows}x{grid.columns}",
        "source_series": str(source.pk),
        "source_arm": source.arm.code,
        "source_sha256": source.volume_sha256,
        "seconds": round(time.perf_counter() - started, 3),
        "qc": found.qc,
        "maps": found.maps,
    }
    templates = (
        _headers(source)
        if recipe.is_simulated or recipe.keeps_slices
        else _placed_headers(source, control, made.thick, grid)
    )
    images = derived_datasets(templates, made.volume, provenance)
    draft = write_series(
        study_id=variant.volunteer.study_id,
        token=context.token,
        volunteer_code=variant.volunteer.code,
        arm=variant.arm,
        slices=[stored_slice_of(image) for image in images],
        parameters=dict(source.parameters),
        provenance=provenance,
        deidentification={},
    )
    if not recipe.keeps_slices:  # else it is the source, which is stored
        write_maps(draft.prefix, **{INTERPOLATED: made.interpolated})
    if found.flagged is not None and made.expected_error is not None:
        from .warning_dicom import warning_objects

        write_flags(draft.prefix, found.flagged, made.expected_error)
        objects = warning_objects(images, found.flagged, made.expected_error, provenance)
        write_warning_objects(draft.prefix, objects)
    return draft


def _thick_record(recipe: TransferRecipe, thick: Geometry) -> dict[str, Any]:
    if recipe.keeps_slices:
        return {"appearance": NOT_SCANNED_SO}
    return {
        "thick": recipe.thick,
        "simulated": recipe.is_simulated,
        "thick_slices": thick.slices,
        "thick_spacing": round(thick.slice_spacing, 4),
    }


def _header(series: Series, number: int) -> Dataset:
    with default_storage.open(f"{series.prefix}/dicom/{number:04d}.dcm") as handle:
        return dcmread(handle, stop_before_pixels=True)


def _headers(series: Series) -> list[Dataset]:
    """Of the stored, de-identified images in anatomical order."""
    return [_header(series, number) for number in range(1, series.slices + 1)]


def _placed_headers(
    source: Series, control: Series, own: Geometry, grid: Geometry
) -> Sequence[Dataset]:
    """Of each slice of the control's grid: how the nearest thick slice was scanned, and where the
    slice of the control lies."""
    thick = _headers(source)
    placed = []
    for number in range(grid.slices):
        middle = grid.to_patient(number, (grid.rows - 1) / 2, (grid.columns - 1) / 2)
        nearest = int(np.clip(round(own.to_index(middle)[0]), 0, own.slices - 1))
        header, place = deepcopy(thick[nearest]), _header(control, number + 1)
        for keyword in PLACE:
            if keyword in place:
                header[keyword] = deepcopy(place[keyword])
            elif keyword in header:
                delattr(header, keyword)
        placed.append(header)
    return placed
