"""Making one derived series: engine, evidence, DICOM, provenance, publication."""

from __future__ import annotations

import errno
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from django.core.files.storage import default_storage
from pydicom import dcmread
from pydicom.dataset import Dataset

from denoise_engine.errors import EngineError
from readerstudy.imaging.errors import ImagingError
from readerstudy.imaging.models import Series
from readerstudy.imaging.readings import Readings, having_read
from readerstudy.imaging.selectors import load_volume
from readerstudy.imaging.services import demand_of_drafts, publish_drafts
from readerstudy.imaging.storing import SeriesDraft, token_prefix, write_series
from readerstudy.imaging.volumes import delete_files
from readerstudy.jobs.context import JobContext, JobError
from readerstudy.studies.errors import StudyError
from readerstudy.studies.services import check_is_draft, lock_study

from .derived_dicom import derive_slices
from .evidence import NOISE, has_map, map_figures, read_map, write_evidence
from .models import Variant
from .recipe import AnyRecipe, RawRecipe, Recipe, RecipeError, TransferRecipe, read_recipe
from .reconstruct import write_reconstruction
from .transfer import write_transfer

if TYPE_CHECKING:
    from denoise_engine import DenoiseResult, Strength
    from denoise_engine.evidence import Evidence

log = logging.getLogger(__name__)

# For the progress bar: evidence runs the method four times more.
EVIDENCE_SHARE = 4
FULL = {errno.ENOSPC, errno.EDQUOT}
NO_ROOM = "The storage is full: nothing of this series was kept. Make room, then start it again."
GONE = "The images that this was made from were deleted or replaced meanwhile."


def derive(context: JobContext, variant_id: int, source_id: str) -> dict[str, Any] | None:
    """Fill the derived cell of a variant. Runs again from the start after a crash."""
    variant = (
        Variant.objects.select_related(
            "volunteer__study",
            "arm__source",
            "source__arm",
            "source__volunteer",
            "raw__arm",
            "job__created_by",
        )
        .filter(pk=variant_id)
        .first()
    )
    if variant is None or str(variant.source_id or "") != source_id:
        raise JobError(GONE)
    if variant.series_id is not None:
        return {"series": str(variant.series_id)}
    recipe = _recipe_of(variant)
    study_id = variant.volunteer.study_id
    try:
        if isinstance(recipe, RawRecipe):
            draft = write_reconstruction(context, variant, recipe)
        elif isinstance(recipe, TransferRecipe):
            draft = write_transfer(context, variant, recipe)
        else:
            draft = _denoised_draft(context, variant, recipe)
        having_read(partial(_publish, context, variant, draft))
    except BaseException as error:
        if not context.published:
            delete_files(token_prefix(study_id, context.token))
        if isinstance(error, OSError) and error.errno in FULL:
            raise JobError(NO_ROOM) from None
        raise
    return None


def _recipe_of(variant: Variant) -> AnyRecipe:
    if not variant.arm.is_derived:
        return RawRecipe()  # the scan as it was measured
    try:
        return read_recipe(variant.arm.recipe, variant.arm.name)
    except RecipeError as error:
        raise JobError(str(error)) from None


def _denoised_draft(context: JobContext, variant: Variant, recipe: Recipe) -> SeriesDraft:
    if variant.source is None:
        raise JobError(GONE)
    result, evidence = _denoised(context, variant.source, recipe)
    return _written(context, variant, variant.source, recipe, result, evidence)


def _denoised(
    context: JobContext, source: Series, recipe: Recipe
) -> tuple[DenoiseResult, Evidence]:
    # The engine loads torch: only here, in the worker.
    import denoise_engine
    from denoise_engine.evidence import gather_evidence

    volume = np.array(load_volume(source))  # torch wants memory that may be written
    # One bar over three steps, which the messages count: a full count of slices is not a full bar.
    steps = len(volume) * (1 + EVIDENCE_SHARE) + 1  # the last one is storing

    def slices_done(done: int, total: int) -> None:
        context.progress(done, steps, f"Step 1 of 3, images: {done} of {total} slices")

    def evidence_done(done: int, total: int) -> None:
        context.progress(
            total + EVIDENCE_SHARE * done,
            steps,
            f"Step 2 of 3, evidence: {done} of {total} slices",
        )

    context.progress(0, steps, "The noise is being measured")
    try:
        result = denoise_engine.load_method(recipe.method).denoise(
            volume,
            noise=_noise(source, recipe),
            strength=_strength(recipe),
            native_grid=recipe.native_grid,
            acquired=acquired_matrix(source),
            bias_coils=recipe.bias_coils,
            progress=slices_done,
        )
        return result, gather_evidence(volume, result, progress=evidence_done)
    except EngineError as error:
        raise JobError(str(error)) from None


def _noise(source: Series, recipe: Recipe) -> np.ndarray | str | None:
    """The map that came with images reconstructed from raw data, which need not be estimated."""
    if recipe.noise != "map":
        return None
    if source.provenance.get("kind") == "reconstruction" and has_map(source, NOISE):
        return np.array(read_map(source, NOISE))
    return "map"


def _strength(recipe: Recipe) -> Strength:
    import denoise_engine

    if recipe.strength == "full" or recipe.value is None:
        return denoise_engine.Full()
    if recipe.strength == "blend":
        return denoise_engine.Blend(recipe.value)
    return denoise_engine.TargetSnrGain(recipe.value)


def acquired_matrix(source: Series) -> tuple[int, int] | None:
    """Acquired rows and columns, where the headers that were kept tell.

    Images that were reformatted tell nothing: those that they were made from lay on another grid.
    """
    from denoise_engine.dicom.acquisition import matrix_of_header

    said = source.parameters
    if said.get("ImageType") == "DERIVED":
        return None
    matrix = said.get("AcquisitionMatrix")
    percent = said.get("PercentPhaseFieldOfView")
    return matrix_of_header(
        matrix if isinstance(matrix, list) else (),
        said.get("InPlanePhaseEncodingDirection"),
        size=(source.rows, source.columns),
        spacing=(source.geometry["row_spacing"], source.geometry["column_spacing"]),
        percent_phase_fov=float(percent) if isinstance(percent, (int, float)) else None,
    )


def provenance_of(
    source: Series, recipe: Recipe, result: DenoiseResult, evidence: Evidence
) -> dict[str, Any]:
    """Everything that says how a derived series came about, as `Series.provenance` keeps it."""
    return {
        **evidence.judged(result.record()),
        "method": recipe.method,
        "strength": recipe.strength_as_json(),
        "grid": f"{source.slices}x{source.rows}x{source.columns}",
        "source_series": str(source.pk),
        "source_arm": source.arm.code,
        "source_sha256": source.volume_sha256,
        "seconds": round(result.seconds, 3),
        "warnings": warnings_of(source, result, evidence),
        "qc": evidence.qc(),
        "maps": map_figures(evidence),
    }


def warnings_of(source: Series, result: DenoiseResult, evidence: Evidence) -> list[str]:
    """Every warning once, in the order in which it arose."""
    said: list[str] = []
    scanner = source.parameters.get("VendorDenoising")
    if scanner:
        who = "The scanner" if scanner != "ReaderStudy" else "This software"
        said.append(
            f"{who} had denoised these images already ({scanner}): what noise is left is not "
            "that of the measurement, and denoising it once more can take detail away."
        )
    return list(dict.fromkeys([*said, *result.warnings, *evidence.warnings]))


def _written(
    context: JobContext,
    variant: Variant,
    source: Series,
    recipe: Recipe,
    result: DenoiseResult,
    evidence: Evidence,
) -> SeriesDraft:
    provenance = provenance_of(source, recipe, result, evidence)
    try:
        slices = derive_slices(source_slices(source), result.volume, provenance)
    except EngineError as error:
        raise JobError(str(error)) from None
    steps = source.slices * (1 + EVIDENCE_SHARE)
    context.progress(steps, steps + 1, "Step 3 of 3: the images are being stored")
    draft = write_series(
        study_id=variant.volunteer.study_id,
        token=context.token,
        volunteer_code=variant.volunteer.code,
        arm=variant.arm,
        slices=slices,
        parameters=dict(source.parameters),
        provenance=provenance,
        deidentification={},
    )
    write_evidence(draft.prefix, evidence, provenance["qc"])
    return draft


def source_slices(source: Series) -> list[Dataset]:
    """The stored, de-identified images of a series in anatomical order."""
    read: list[Dataset] = []
    for number in range(1, source.slices + 1):
        with default_storage.open(f"{source.prefix}/dicom/{number:04d}.dcm") as handle:
            read.append(dcmread(handle, stop_before_pixels=True))
    return read


def _publish(context: JobContext, variant: Variant, draft: SeriesDraft, readings: Readings) -> None:
    actor = variant.job.created_by if variant.job else None
    with context.publish() as result:
        study = lock_study(variant.volunteer.study)
        try:
            check_is_draft(study)
        except StudyError as error:
            raise JobError(str(error)) from None
        current = Variant.objects.filter(
            pk=variant.pk, source_id=variant.source_id, raw_id=variant.raw_id
        ).first()
        if current is None:
            raise JobError(GONE)
        demand_of_drafts(study, [draft], readings)
        entries = [(draft, variant.volunteer, None)]
        try:
            stored, refused = publish_drafts(study, entries, actor, readings)
        except ImagingError as error:
            raise JobError(str(error)) from None
        for _draft, reason in refused:
            raise JobError(reason)
        current.series = stored[0]
        current.save(update_fields=["series"])
        result["series"] = str(stored[0].pk)
