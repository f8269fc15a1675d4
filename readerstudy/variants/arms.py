"""Derived arms of a draft: one more strength or method of a source, and taking one away again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max, ProtectedError, Q

from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.imaging.models import Series
from readerstudy.imaging.services import delete_series_row
from readerstudy.imaging.volumes import delete_after_commit
from readerstudy.jobs.locks import hold_open_jobs
from readerstudy.jobs.services import do_cancel
from readerstudy.studies.access import require_role
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import CODE, Arm, Comparison, Role, Study
from readerstudy.studies.services import check_is_draft, lock_study

from .models import Variant
from .recipe import RecipeError, read_recipe
from .services import do_request_variants


def check_add_derived_arm(
    study: Study,
    code: str,
    name: str,
    source: Arm,
    recipe: dict[str, Any],
    compared_with: Sequence[Arm] = (),
) -> None:
    check_is_draft(study)
    try:
        CODE(code)
    except ValidationError:
        raise StudyError(f"“{code}” cannot be an arm’s code: letters, digits, - and _.") from None
    if study.arms.filter(code__iexact=code).exists():
        raise StudyError(f"The study has an arm {code} already.")
    if study.arms.filter(name__iexact=name).exists():
        raise StudyError(f"The study has an arm of the name “{name}” already.")
    if source.study_id != study.pk or source.is_derived:
        raise StudyError(f"{source.name} is not an acquired arm of this study.")
    for other in compared_with:
        if other.study_id != study.pk:
            raise StudyError(f"{other.name} is not an arm of this study: compare with its own.")
    try:
        read_recipe(recipe, name)
    except RecipeError as error:
        raise StudyError(str(error)) from None


@transaction.atomic
def do_add_derived_arm(
    study: Study,
    actor: User | None,
    *,
    code: str,
    name: str,
    source: Arm,
    recipe: dict[str, Any],
    compared_with: Sequence[Arm] = (),
) -> Arm:
    """Add an arm to a draft and have the worker make it of every volunteer.

    With each of `compared_with` the study gets a comparison: the new arm less that one.
    """
    require_role(actor, study, Role.COORDINATOR)
    study = lock_study(study)
    check_add_derived_arm(study, code, name, source, recipe, compared_with)
    arm = Arm.objects.create(
        study=study,
        code=code,
        name=name,
        position=_next(study.arms.aggregate(last=Max("position"))["last"]),
        kind=Arm.Kind.DERIVED,
        source=source,
        recipe=recipe,
    )
    for other in compared_with:
        Comparison.objects.create(
            study=study,
            first=other,
            second=arm,
            position=_next(study.comparisons.aggregate(last=Max("position"))["last"]),
        )
    record(
        "studies.arm.added",
        actor,
        study_id=study.pk,
        subject=arm,
        new={
            "code": code,
            "name": name,
            "source": source.code,
            "recipe": recipe,
            "compared_with": [other.code for other in compared_with],
        },
    )
    do_request_variants(study, actor)
    return arm


def check_remove_derived_arm(arm: Arm) -> None:
    check_is_draft(arm.study)
    if not arm.is_derived:
        raise StudyError(f"{arm.name} is an acquired arm: it is part of the protocol.")


def do_remove_derived_arm(arm: Arm, actor: User | None) -> None:
    """Take a derived arm out of a draft, with its series, its jobs and its comparisons."""
    prefixes: list[str] = []
    require_role(actor, arm.study, Role.COORDINATOR)
    with transaction.atomic():
        study = lock_study(arm.study)
        hold_open_jobs(study.pk)
        arm = Arm.objects.select_related("study").get(pk=arm.pk, study=study)
        check_remove_derived_arm(arm)
        for variant in Variant.objects.filter(arm=arm).select_related("job"):
            if variant.job is not None:
                do_cancel(variant.job, actor=actor, why="arm removed")
        for series in Series.objects.filter(arm=arm).select_related("volunteer", "arm"):
            delete_series_row(series, actor, prefixes, why="arm removed")
        Variant.objects.filter(arm=arm).delete()
        comparisons = Comparison.objects.filter(Q(first=arm) | Q(second=arm), study=study)
        record(
            "studies.arm.removed",
            actor,
            study_id=study.pk,
            subject=arm,
            old={
                "code": arm.code,
                "name": arm.name,
                "recipe": arm.recipe,
                "comparisons": [str(comparison) for comparison in comparisons],
            },
        )
        comparisons.delete()
        try:
            arm.delete()
        except ProtectedError:
            raise StudyError(f"{arm.name} holds imported values: it cannot be removed.") from None
        delete_after_commit(prefixes)


def _next(last: int | None) -> int:
    return 1 + (last or 0)
