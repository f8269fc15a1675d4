"""Frozen data, signed plans, opened keys and exclusions: never changed, says the database."""

from __future__ import annotations

from readerstudy.audit.append_only import AppendOnlyTable, register

FROZEN = "frozen data are never changed"
SIGNED = "a signed plan is never changed: an amendment is a further version"
OPENED = "the opening of a key stays on record"
EXCLUDED = "an exclusion stays on record: taking it back is a further row"

TABLES = (
    AppendOnlyTable("reports_snapshot", FROZEN),
    AppendOnlyTable("studies_planversion", SIGNED, (("id",), ("study_id", "number"))),
    AppendOnlyTable("reports_unblinding", OPENED, (("id",), ("study_id",))),
    AppendOnlyTable("reports_exclusion", EXCLUDED),
)


def register_tables() -> None:
    for table in TABLES:
        register(table)
