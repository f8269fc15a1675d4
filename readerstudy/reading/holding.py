"""Holding a session: one act of a reader after the other, beside those of other readers."""

from __future__ import annotations

from readerstudy.studies.holding import hold_together
from readerstudy.studies.models import Study

from .models import Session


def hold_session(session: Session) -> None:
    """The session's row alone and its study with other readers, until the transaction ends."""
    hold_together(session.study_id)
    # In the model's own order the study would be joined, and its row locked as well.
    rows = Session.objects.select_for_update().order_by()
    list(rows.filter(pk=session.pk).values_list("pk"))


def hold_study_of(session: Session) -> Study:
    """The session held, and its study as it stands now."""
    hold_session(session)
    return Study.objects.get(pk=session.study_id)
