"""What was answered and recorded is never changed, and nothing is added after the lock.

The services see to it; the database refuses whoever goes round them.
"""

from __future__ import annotations

from readerstudy.audit.append_only import AppendOnlyTable, register
from readerstudy.studies.models import Study

MESSAGE = "what a reader answered is append-only"
LOCKED = "the study is locked: nothing can be answered any more"

_LOCKED_STATES = f"('{Study.State.LOCKED}', '{Study.State.UNBLINDED}')"
_STUDY_OF_SESSION = (
    "(SELECT state FROM studies_study WHERE id = "
    "(SELECT study_id FROM reading_session WHERE id = {}))"
)
_SESSION_OF_ITEM = "(SELECT session_id FROM reading_item WHERE id = NEW.item_id)"
_OF_ITEM = f"{_STUDY_OF_SESSION.format(_SESSION_OF_ITEM)} IN {_LOCKED_STATES}"
_OF_SESSION = f"{_STUDY_OF_SESSION.format('NEW.session_id')} IN {_LOCKED_STATES}"

TABLES = (
    AppendOnlyTable(
        "reading_scorerevision",
        MESSAGE,
        (("id",), ("item_id", "criterion_id", "revision")),
        _OF_ITEM,
        LOCKED,
    ),
    AppendOnlyTable(
        "reading_commentrevision", MESSAGE, (("id",), ("item_id", "revision")), _OF_ITEM, LOCKED
    ),
    AppendOnlyTable(
        "reading_marksrevision", MESSAGE, (("id",), ("item_id", "revision")), _OF_ITEM, LOCKED
    ),
    AppendOnlyTable("reading_visit", MESSAGE, (("id",),), _OF_ITEM, LOCKED),
    AppendOnlyTable("reading_displaycheck", MESSAGE, (("id",),), _OF_SESSION, LOCKED),
    AppendOnlyTable(
        "reading_receipt", MESSAGE, (("id",), ("session_id", "client_id")), _OF_SESSION, LOCKED
    ),
)


def register_tables() -> None:
    for table in TABLES:
        register(table)
