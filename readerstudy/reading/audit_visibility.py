"""Scores stay unread before the lock, in the audit trail too."""

from __future__ import annotations

from django.db.models import Q

from readerstudy.studies.models import BLINDED_STATES, Study


def hidden_events() -> Q:
    """Events that hold scores of studies that are not locked: for administrators as for all."""
    holds_scores = Q(action__startswith="reading.score") | Q(action__startswith="reading.item.")
    running = Study.objects.filter(state__in=BLINDED_STATES).values("pk")
    return holds_scores & Q(study_id__in=running)
