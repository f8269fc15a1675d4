"""What the lock freezes, kept so by the database itself.

The services refuse whoever comes too late; the database refuses whoever goes round them: a script,
a shell, another program. Answers are append-only anyway (`reading.append_only`).
"""

from __future__ import annotations

from readerstudy.audit.append_only import AppendOnlyTable, FrozenTable, register
from readerstudy.studies.models import Study

LOCKED = "the study is locked: scores, regions and what they belong to are frozen"
PROTOCOL = "the study is locked: its protocol and its letters are frozen"
STATE = "the study is locked: an administrator has to unlock it first"
KEY = "the key of the study is open: that cannot be taken back"
ON_RECORD = "locks and their opening stay on record"

_STATES = f"('{Study.State.LOCKED}', '{Study.State.UNBLINDED}')"


def _locked(study: str) -> str:
    return (
        f"EXISTS (SELECT 1 FROM studies_study s "  # noqa: S608 - names of ours alone
        f"WHERE s.id = {study} AND s.state IN {_STATES})"
    )


def _through(table: str, column: str) -> str:
    """Locked by way of a row of another table that names the study."""
    return (
        f"EXISTS (SELECT 1 FROM {table} o JOIN studies_study s ON s.id = o.study_id "  # noqa: S608
        f"WHERE o.id = {{row}}.{column} AND s.state IN {_STATES})"
    )


_OF_VOLUNTEER = _through("imaging_volunteer", "volunteer_id")
_OF_SESSION = _through("reading_session", "session_id")
_OF_PANE = (
    "EXISTS (SELECT 1 FROM reading_item i "  # noqa: S608
    "JOIN reading_session o ON o.id = i.session_id "
    f"JOIN studies_study s ON s.id = o.study_id WHERE i.id = {{row}}.item_id "
    f"AND s.state IN {_STATES})"
)
_OWN = _locked("{row}.study_id")
_OPEN_LOCK = (
    "EXISTS (SELECT 1 FROM conduct_locking l WHERE l.study_id = {row}.id AND NOT EXISTS "
    "(SELECT 1 FROM conduct_unlocking u WHERE u.locking_id = l.id))"
)

TABLES: tuple[FrozenTable | AppendOnlyTable, ...] = (
    FrozenTable("measurements_region", _OF_VOLUNTEER, LOCKED),
    FrozenTable("measurements_placing", _OF_VOLUNTEER, LOCKED),
    FrozenTable(
        "measurements_measurement",
        _OF_VOLUNTEER,
        LOCKED,
        # Not the series: whoever withdraws has the images erased, after the lock too.
        (
            *("volunteer_id", "arm_id", "tissue_id", "region_id", "origin", "observer"),
            *("revision", "n_pixels", "mean", "sd", "area_mm2", "counted_area_mm2"),
            *("n_zero", "n_at_limits"),
        ),
    ),
    FrozenTable("reading_item", _OF_SESSION, LOCKED),
    FrozenTable("reading_pane", _OF_PANE, LOCKED, ("item_id", "number", "role", "arm_id")),
    FrozenTable(
        "reading_session",
        _OWN,
        LOCKED,
        ("study_id", "reader_id", "reader_code", "occasion", "is_imported"),
    ),
    FrozenTable(
        "imaging_volunteer", _OWN, LOCKED, ("study_id", "code", "site_id"), only_changes=True
    ),
    *(
        FrozenTable(table, _OWN, LOCKED, ("study_id", "code"), only_changes=True)
        for table in ("studies_arm", "studies_criterion", "studies_tissue")
    ),
    FrozenTable(
        "studies_comparison",
        _OWN,
        LOCKED,
        ("study_id", "first_id", "second_id"),
        only_changes=True,
    ),
    FrozenTable(
        "studies_study",
        f"{{row}}.state IN {_STATES}",
        PROTOCOL,
        ("protocol", "protocol_sha256", "arm_letters"),
        only_changes=True,
        name="protocol",
    ),
    # A lock is left for the opened key, or once somebody's unlocking of it is on record.
    FrozenTable(
        "studies_study",
        f"{{row}}.state = '{Study.State.LOCKED}' AND NEW.state NOT IN {_STATES} AND {_OPEN_LOCK}",
        STATE,
        ("state",),
        only_changes=True,
        name="lock",
    ),
    FrozenTable(
        "studies_study",
        f"{{row}}.state = '{Study.State.UNBLINDED}' "  # noqa: S608
        "AND NEW.state <> {row}.state "
        "AND EXISTS (SELECT 1 FROM reports_unblinding k WHERE k.study_id = {row}.id)",
        KEY,
        ("state",),
        only_changes=True,
        name="key",
    ),
    AppendOnlyTable("conduct_locking", ON_RECORD, (("id",), ("study_id", "number"))),
    AppendOnlyTable("conduct_unlocking", ON_RECORD, (("id",), ("locking_id",))),
)


def register_tables() -> None:
    for table in TABLES:
        register(table)
