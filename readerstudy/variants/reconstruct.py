"""Making one series from raw data: reconstruction, new DICOM, provenance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from denoise_engine.errors import EngineError
from readerstudy.imaging.storing import SeriesDraft, StoredSlice, write_series
from readerstudy.jobs.context import JobContext, JobError

from .derived_dicom import stored_slice_of
from .evidence import G_FACTOR, NOISE, write_maps
from .models import RawData, Variant
from .raw_recipe import RawRecipe
from .raw_services import samples_of

if TYPE_CHECKING:
    from denoise_engine.rawdata import RawReconstruction

READ_FIELDS = (
    "Reconstructed from raw data: of their header, named fields of the acquisition alone are ever "
    "read; nothing that tells who was scanned, where or when"
)
SERIES_NUMBERS = 1  # of the first arm; arms follow in the order of the protocol


def write_reconstruction(context: JobContext, variant: Variant, recipe: RawRecipe) -> SeriesDraft:
    """Reconstruct the raw data of a variant and write the series. Raises JobError."""
    raw = variant.raw
    if raw is None:
        source = variant.arm.source.name if variant.arm.source else "its source"
        raise JobError(
            f"{source} of {variant.volunteer.code} was sent as images, and {variant.arm.name} is "
            "reconstructed from raw data (k-space). Delete those images and send the raw data in "
            "their place, or choose a method that works on images."
        )
    context.progress(0, 1, "The raw data are being read")
    try:
        with samples_of(raw) as samples:
            result = _reconstructed(context, samples, recipe)
        provenance = provenance_of(raw, result)
        slices = _slices(variant, raw, result, provenance)
    except EngineError as error:
        raise JobError(str(error)) from None
    except MemoryError:
        raise JobError(
            "The worker has not enough memory for these raw data: start it on a larger machine, or "
            "send fewer slices a file."
        ) from None
    steps = len(slices)
    context.progress(steps, steps + 1, "The images are being stored")
    draft = write_series(
        study_id=variant.volunteer.study_id,
        token=context.token,
        volunteer_code=variant.volunteer.code,
        arm=variant.arm,
        slices=slices,
        parameters=_parameters(result),
        provenance=provenance,
        deidentification={
            "method": READ_FIELDS,
            "table_version": "raw data 1",
            "images": len(slices),
            "rules": {},
            "attributes": {},
        },
    )
    maps = {NOISE: result.noise_map}
    if result.g_factor is not None:
        maps[G_FACTOR] = result.g_factor
    write_maps(draft.prefix, **maps)
    return draft


def _reconstructed(context: JobContext, samples: Any, recipe: RawRecipe) -> RawReconstruction:
    # The engine loads torch: only here, in the worker.
    from denoise_engine.rawdata import reconstruct_raw

    def progress(done: int, total: int) -> None:
        context.progress(done, total + 1, f"{done} of {total} planes")

    return reconstruct_raw(samples, recipe.wanted(), progress=progress)


def provenance_of(raw: RawData, result: RawReconstruction) -> dict[str, Any]:
    """Everything that says how the series came about, as `Series.provenance` keeps it."""
    said = {
        **result.record,
        "kind": "reconstruction",
        "source_raw": str(raw.pk),
        "source_sha256": raw.sha256,
        "source_arm": raw.arm.code,
        "seconds": round(result.seconds, 3),
        "maps": {"noise_sd": _range(result.noise_map)},
    }
    if result.g_factor is not None:
        said["maps"]["g_factor"] = _range(result.g_factor)
        said["g_factor_median"] = round(said["maps"]["g_factor"]["median"], 3)
    return said


def _range(values: np.ndarray) -> dict[str, float]:
    """Of where there is anything: outside of it maps are zero, or next to it."""
    inside = values[values > 0.01 * float(values.max())]
    if not inside.size:
        return {"lowest": 0.0, "median": 0.0, "highest": 0.0}
    return {
        "lowest": float(inside.min()),
        "median": float(np.median(inside)),
        "highest": float(inside.max()),
    }


def _slices(
    variant: Variant, raw: RawData, result: RawReconstruction, provenance: dict[str, Any]
) -> list[StoredSlice]:
    from denoise_engine.dicom.reconstructed import Identity, reconstructed_datasets

    identity = Identity(
        patient=variant.volunteer.code,
        study_uid=raw.study_uid,
        frame_uid=raw.frame_uid,
        series_number=SERIES_NUMBERS + variant.arm.position,
    )
    datasets = reconstructed_datasets(result.placed, provenance, result.acquired, identity)
    return [stored_slice_of(target) for target in datasets]


def _parameters(result: RawReconstruction) -> dict[str, Any]:
    """Acquisition parameters for Table 1, under the names that headers of images have for them."""
    placed, acquired = result.placed, result.acquired
    said = {
        key: value
        for key, value in acquired.items()
        if key not in ("Coils", "PatientPosition", "AccelerationFactors")
    }
    said["PixelSpacing"] = [placed.row_spacing, placed.column_spacing]
    if placed.thickness:
        said["SliceThickness"] = placed.thickness
    if placed.slice_spacing:
        said["SpacingBetweenSlices"] = placed.slice_spacing
    acceleration = float(result.record["acceleration"])
    if acceleration > 1:
        said["ParallelReductionFactorInPlane"] = round(acceleration, 2)
    return said
