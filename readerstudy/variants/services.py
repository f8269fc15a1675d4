"""Asking for derived series. Each act authorises, validates, writes and audits."""

from __future__ import annotations

from django.db import transaction

from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.imaging.models import Series, Volunteer
from readerstudy.imaging.selectors import control_series, get_series, off_the_control
from readerstudy.imaging.services import delete_series_row
from readerstudy.jobs.services import do_cancel, do_enqueue
from readerstudy.studies.access import require_role
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Arm, Role, Study
from readerstudy.studies.selectors import takes_thick_slices
from readerstudy.studies.services import check_is_draft, lock_study

from .models import RawData, Variant
from .raw_services import forget_raw
from .recipe import RecipeError, is_for_raw, read_recipe


def plan_variants(study: Study) -> list[tuple[Volunteer, Arm]]:
    """The derived cells that can be made now and that nobody has asked for yet."""
    derived = [arm for arm in study.arms.all() if arm.is_derived]
    stored = Series.objects.filter(volunteer__study=study)
    there = set(stored.values_list("volunteer_id", "arm_id"))
    asked = set(
        Variant.objects.filter(volunteer__study=study).values_list("volunteer_id", "arm_id")
    )
    wanted = [
        (volunteer, arm)
        for volunteer in study.volunteers.all()
        for arm in derived
        if (volunteer.pk, arm.source_id) in there
        and (volunteer.pk, arm.pk) not in there
        and (volunteer.pk, arm.pk) not in asked
    ]
    # What is made lies as its source does: of one that is to be replaced nothing is made.
    return [(volunteer, arm) for volunteer, arm in wanted if not _source_is_off(volunteer, arm)]


def _source_is_off(volunteer: Volunteer, arm: Arm) -> bool:
    if takes_thick_slices(arm):
        return control_series(volunteer) is None  # onto whose grid the result is brought
    source = get_series(volunteer, arm.source) if arm.source is not None else None
    return source is not None and bool(off_the_control(source))


@transaction.atomic
def do_request_variants(study: Study, actor: User | None) -> list[Variant]:
    """Have the worker make every derived series whose source is there."""
    require_role(actor, study, Role.COORDINATOR)
    study = lock_study(study)
    check_is_draft(study)
    return [_request(volunteer, arm, study, actor) for volunteer, arm in plan_variants(study)]


def check_request_variant(volunteer: Volunteer, arm: Arm, actor: User | None) -> None:
    require_role(actor, volunteer.study, Role.COORDINATOR)
    check_is_draft(volunteer.study)
    raw = raw_of(volunteer, arm)
    if arm.study_id != volunteer.study_id or not (arm.is_derived or raw is not None):
        raise StudyError(f"{arm.name} is not a derived arm of this study.")
    if arm.is_derived:
        try:
            read_recipe(arm.recipe, arm.name)
        except RecipeError as error:
            raise StudyError(str(error)) from None
    if get_series(volunteer, arm) is not None:
        raise StudyError(f"{arm.name} of {volunteer.code} is there already.")
    if arm.is_derived and (arm.source is None or get_series(volunteer, arm.source) is None):
        raise StudyError(
            f"The images that {arm.name} of {volunteer.code} is made from are missing."
        )
    if arm.is_derived and arm.source is not None and _source_is_off(volunteer, arm):
        if takes_thick_slices(arm):
            raise StudyError(
                f"{arm.name} of {volunteer.code} is made on the control's grid: upload the control "
                "first."
            )
        raise StudyError(
            f"{arm.source.name} of {volunteer.code} is not on the control's grid: replace it first."
        )
    asked = Variant.objects.filter(volunteer=volunteer, arm=arm).select_related("job").first()
    if asked is not None and asked.job is not None and not asked.job.is_over:
        raise StudyError(f"{arm.name} of {volunteer.code} is being made already.")


@transaction.atomic
def do_request_variant(volunteer: Volunteer, arm: Arm, actor: User | None) -> Variant:
    """Make one derived series, or try again after a failure."""
    study = lock_study(volunteer.study)
    volunteer.study = study
    check_request_variant(volunteer, arm, actor)
    return _request(volunteer, arm, study, actor)


def raw_of(volunteer: Volunteer, arm: Arm) -> RawData | None:
    """The raw data that an arm of a volunteer is made from; None where it is made from images."""
    if not arm.is_derived:
        return RawData.objects.filter(volunteer=volunteer, arm=arm).first()
    if not is_for_raw(arm.recipe):
        return None
    return RawData.objects.filter(volunteer=volunteer, arm=arm.source_id).first()


def request_from_raw(raw: RawData, study: Study, actor: User | None) -> Variant:
    """Have the images of an acquired arm made from its raw data. Inside a transaction that holds
    the study's row; the caller has authorised the act."""
    return _request(raw.volunteer, raw.arm, study, actor)


def _request(volunteer: Volunteer, arm: Arm, study: Study, actor: User | None) -> Variant:
    source = Series.objects.get(volunteer=volunteer, arm=arm.source) if arm.is_derived else None
    variant, _new = Variant.objects.update_or_create(
        volunteer=volunteer,
        arm=arm,
        defaults={"source": source, "raw": raw_of(volunteer, arm), "series": None},
    )
    variant.job = do_enqueue(
        "variants.derive",
        {"variant": variant.pk, "source": str(source.pk) if source else ""},
        actor=actor,
        study_id=study.pk,
        label=f"{arm.name} of {volunteer.code}",
    )
    variant.save(update_fields=["job"])
    record(
        "variants.variant.requested",
        actor,
        study_id=study.pk,
        subject=variant,
        new={"volunteer": volunteer.code, "arm": arm.code, "recipe": arm.recipe},
    )
    return variant


# --- What follows from series that come and go ----------------------------------------------------


def request_after_storing(study: Study, _series: object, _actor: User | None) -> None:
    """New series were stored: have what can be derived from them made.

    The platform asks, whoever sent the images: the protocol says that these arms are to be made.
    """
    do_request_variants(study, None)


def remove_derived(series: Series, actor: User | None, prefixes: list[str]) -> None:
    """A series goes: what was derived from it goes with it, and jobs that would read it stop."""
    for variant in Variant.objects.filter(source=series).select_related("job", "series__arm"):
        if variant.job is not None:
            do_cancel(variant.job, actor=actor, why="source series deleted")
        if variant.series is not None:
            delete_series_row(variant.series, actor, prefixes, why="source series deleted")
        variant.delete()
    made = Variant.objects.filter(series=series, source=None)
    for variant in made.select_related("raw__volunteer", "raw__arm"):
        if variant.raw is not None:  # what its images were made from is of no more use
            forget_raw(variant.raw, actor, prefixes, why="series deleted")
