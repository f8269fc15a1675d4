"""What images and regions that are there already say to a change of the design.

An arm keeps its images when its code or name is corrected. Images that no longer are what the
design says go: those of a derived arm that is made otherwise now are made anew. What only a person
can bring again (uploads, placed regions) is not thrown away: the change is refused with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator

from readerstudy.accounts.models import User
from readerstudy.imaging.models import Series
from readerstudy.imaging.readings import Readings
from readerstudy.imaging.refreshing import refresh_display, want_refresh
from readerstudy.imaging.services import delete_series_row
from readerstudy.imaging.volumes import delete_after_commit
from readerstudy.jobs.locks import hold_open_jobs
from readerstudy.jobs.services import do_cancel
from readerstudy.measurements.models import Region
from readerstudy.studies.design_document import Document
from readerstudy.studies.design_writing import Rows, matched
from readerstudy.studies.errors import DesignError, DesignFault
from readerstudy.studies.models import Arm, Study, Tissue
from readerstudy.variants.arms import do_remove_derived_arm
from readerstudy.variants.models import Variant
from readerstudy.variants.recipe import RecipeError, read_recipe


def check_images_allow(study: Study, document: Document, rows: Rows) -> None:
    """Raise `DesignError` where the change would take away what a person brought."""
    faults = [*_arm_faults(study, document, rows), *_tissue_faults(study, document, rows)]
    if faults:
        raise DesignError(*faults)


def withdraw_outdated(
    study: Study, document: Document, rows: Rows, actor: User | None
) -> tuple[str, ...]:
    """Take out derived images that the design no longer asks for, before it is written.

    Returns the names of the arms that will be made anew.
    """
    hold_open_jobs(study.pk)
    entries = document["arms"]
    arms = matched(Arm, study, entries, rows.arms)
    kept = {arm.pk for arm in arms if arm.pk is not None}
    for arm in study.arms.filter(kind=Arm.Kind.DERIVED).exclude(pk__in=kept):
        do_remove_derived_arm(arm, actor)
    codes = {entry["code"]: arm.pk for entry, arm in zip(entries, arms, strict=True)}
    again = []
    for entry, arm in zip(entries, arms, strict=True):
        if arm.pk is None or not arm.is_derived:
            continue
        same = arm.source_id == codes.get(entry["source"]) and _alike(arm, entry)
        if not same and _withdraw(arm, actor):
            again.append(entry["name"])
    return tuple(again)


def show_by_control(study: Study, readings: Readings) -> None:
    """Another arm is the control now: what is shown of every volunteer follows its images.

    Which one, the design says once it is written: where images have to be read for it, that is
    undone (NotRead), and written again when they are.
    """
    volunteers = list(study.volunteers.filter(series__isnull=False).distinct())
    for volunteer in volunteers:
        want_refresh(volunteer, readings)
    readings.demand()
    for volunteer in volunteers:
        refresh_display(volunteer, readings)


def _alike(arm: Arm, entry: Document) -> bool:
    """Whether both recipes ask for the same: what stands at its default may be written or not."""
    try:
        return read_recipe(arm.recipe, arm.name) == read_recipe(entry["recipe"], arm.name)
    except RecipeError:  # the one that stood could not be followed
        return False


def _withdraw(arm: Arm, actor: User | None) -> bool:
    """Stop what is being made of a derived arm and delete what was made; whether there was any."""
    prefixes: list[str] = []
    variants = Variant.objects.filter(arm=arm)
    found = variants.exists()
    for variant in variants.select_related("job"):
        if variant.job is not None:
            do_cancel(variant.job, actor=actor, why="recipe changed")
    for series in Series.objects.filter(arm=arm).select_related("volunteer", "arm"):
        found = True
        delete_series_row(series, actor, prefixes, why="recipe changed")
    variants.delete()
    delete_after_commit(prefixes)
    return found


def _arm_faults(study: Study, document: Document, rows: Rows) -> Iterator[DesignFault]:
    entries = document["arms"]
    arms = matched(Arm, study, entries, rows.arms)
    imaged = dict(
        Series.objects.filter(volunteer__study=study).values_list("arm_id", "volunteer__code")
    )
    if not imaged:
        return
    kept = {arm.pk for arm in arms}
    for arm in study.arms.filter(kind=Arm.Kind.ACQUIRED, pk__in=imaged).exclude(pk__in=kept):
        yield DesignFault(
            "arms", f"{arm.name} has images ({imaged[arm.pk]}, …): delete its series first."
        )
    for position, (entry, arm) in enumerate(zip(entries, arms, strict=True)):
        if arm.pk in imaged and arm.kind != entry["kind"]:
            yield DesignFault(
                f"arms[{position}].kind",
                f"{arm.name} has images ({imaged[arm.pk]}, …): delete its series first, or add "
                "another arm.",
            )
    control = next((arm for arm in arms if arm.is_control), None)
    now = next((n for n, entry in enumerate(entries) if entry["is_control"]), None)
    if control is not None and control.pk in imaged and (now is None or arms[now] is not control):
        place = "arms" if now is None else f"arms[{now}].is_control"
        yield DesignFault(
            place,
            f"{control.name} stays the control: the brightness and the regions of "
            f"{imaged[control.pk]}, … follow its images. Delete its series first.",
        )


def _tissue_faults(study: Study, document: Document, rows: Rows) -> Iterator[DesignFault]:
    entries = document["tissues"]
    tissues = matched(Tissue, study, entries, rows.tissues)
    placed = dict(
        Region.objects.filter(volunteer__study=study).values_list("tissue_id", "volunteer__code")
    )
    kept = {tissue.pk for tissue in tissues}
    for tissue in study.tissues.filter(pk__in=placed).exclude(pk__in=kept):
        yield DesignFault(
            "tissues", f"{tissue.name} is placed already ({placed[tissue.pk]}, …): it has to stay."
        )
    for position, (entry, tissue) in enumerate(zip(entries, tissues, strict=True)):
        if tissue.pk in placed and (tissue.area_mm2, tissue.purpose) != (
            entry["area_mm2"],
            entry["purpose"],
        ):
            yield DesignFault(
                f"tissues[{position}].area_mm2",
                f"{tissue.name} is placed already ({placed[tissue.pk]}, …): its area and purpose "
                f"stay {tissue.area_mm2:g} mm², {tissue.get_purpose_display().lower()}.",
            )
