"""Writing a checked design document to a draft's rows.

Rows that a person edited keep their identity, so that an arm whose code is corrected keeps its
images: `Rows` says which row each entry was. Without it every entry is a new one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import ProtectedError

from .design_document import READING_FIELDS, STUDY_FIELDS, Document
from .errors import StudyError
from .models import Arm, Comparison, Criterion, Plan, Study, Tissue

Row = TypeVar("Row", Arm, Criterion, Tissue)


@dataclass(frozen=True)
class Rows:
    """The keys of the rows that the entries of each list were, in order; None for a new one."""

    arms: Sequence[int | None] = ()
    criteria: Sequence[int | None] = ()
    tissues: Sequence[int | None] = ()


def write_design(study: Study, document: Document, rows: Rows | None = None) -> None:
    """Make the draft what the document says. Inside a transaction, its row held, both checked."""
    rows = rows or Rows()
    _write_study(study, document)
    _write_arms(study, document, rows)
    _write_list(Criterion, study, document["criteria"], rows.criteria)
    _write_list(Tissue, study, document["tissues"], rows.tissues)
    _write_plan(study, document["plan"])


def matched(
    model: type[Row], study: Study, entries: Sequence[Any], keys: Sequence[int | None]
) -> list[Row]:
    """The row of each entry: one that stands, or a new one that is not saved yet."""
    standing = {row.pk: row for row in model.objects.filter(study=study)}
    found = []
    for position in range(len(entries)):
        key = keys[position] if position < len(keys) else None
        row = standing.pop(key, None) if key is not None else None
        found.append(row if row is not None else model(study=study))
    return found


def _write_study(study: Study, document: Document) -> None:
    for name in STUDY_FIELDS:
        setattr(study, name, document["study"][name])
    reading = {"warning_maps": Study.WarningMaps.NEVER, **document["reading"]}
    for key, field in READING_FIELDS.items():
        setattr(study, field, reading[key])
    study.planning = document["planning"]
    try:
        study.full_clean(exclude={"created_by"})
    except ValidationError as error:
        raise StudyError.from_validation(error) from None
    study.save(update_fields=[*STUDY_FIELDS, *READING_FIELDS.values(), "planning"])


def _write_arms(study: Study, document: Document, rows: Rows) -> None:
    entries = document["arms"]
    arms = matched(Arm, study, entries, rows.arms)
    codes = {entry["code"]: arm for entry, arm in zip(entries, arms, strict=True)}
    pairs = [(codes[pair["first"]], codes[pair["second"]]) for pair in document["comparisons"]]
    standing = list(study.comparisons.values_list("first_id", "second_id"))
    if standing != [(first.pk, second.pk) for first, second in pairs]:
        study.comparisons.all().delete()
    _set_aside(Arm, study)
    Arm.objects.filter(study=study).update(is_control=False)
    # Acquired arms first: the others name them as their source.
    ordered = sorted(enumerate(entries), key=lambda pair: pair[1]["kind"] != Arm.Kind.ACQUIRED)
    for position, entry in ordered:
        arm = arms[position]
        arm.code, arm.name, arm.kind = entry["code"], entry["name"], entry["kind"]
        arm.is_control, arm.recipe = entry["is_control"], entry["recipe"]
        arm.source = codes[entry["source"]] if entry["source"] else None
        arm.position = position + 1
        arm.save()
    _delete_others(Arm, study, arms)
    if not study.comparisons.exists():
        Comparison.objects.bulk_create(
            Comparison(study=study, first=first, second=second, position=position)
            for position, (first, second) in enumerate(pairs, start=1)
        )


def _write_list(
    model: type[Row], study: Study, entries: Sequence[Document], keys: Sequence[int | None]
) -> None:
    rows = matched(model, study, entries, keys)
    _set_aside(model, study)
    for position, (entry, row) in enumerate(zip(entries, rows, strict=True), start=1):
        for name, value in entry.items():
            setattr(row, name, value)
        row.position = position
        row.save()
    _delete_others(model, study, rows)


def _set_aside(model: type[Row], study: Study) -> None:
    """Codes are unique, and two rows may exchange theirs: no row holds its code meanwhile."""
    for key in model.objects.filter(study=study).values_list("pk", flat=True):
        model.objects.filter(pk=key).update(code=f"~{key}")


def _delete_others(model: type[Row], study: Study, wanted: Sequence[models.Model]) -> None:
    others = model.objects.filter(study=study).exclude(pk__in=[row.pk for row in wanted])
    # What was derived goes before what it was derived from.
    for row in sorted(others, key=lambda row: getattr(row, "source_id", None) is None):
        try:
            row.delete()
        except ProtectedError:
            raise StudyError(
                f"“{row.name}” cannot be removed: the study holds images, regions, scores or "
                "imported values of it."
            ) from None


def _write_plan(study: Study, settings: Document) -> None:
    plan = Plan.objects.filter(study=study).first() or Plan(study=study)
    if plan.pk is not None and plan.settings() == settings:
        return
    for name, value in settings.items():
        setattr(plan, name, value)
    try:
        plan.full_clean(exclude={"changed_by"})
    except ValidationError as error:
        raise StudyError.from_validation(error) from None
    plan.save()
