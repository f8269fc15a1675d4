"""What readers answered and how they read stays unread before the lock, in the audit trail too."""

from __future__ import annotations

from django.db.models import Q

from readerstudy.studies.models import BLINDED_STATES, Study

HIDDEN = ("score", "comment", "marks", "item", "visit", "display", "pause")


def hidden_events() -> Q:
    """Events of answers in studies that are not locked: for administrators as for all."""
    holds_answers = Q()
    for subject in HIDDEN:
        holds_answers |= Q(action__startswith=f"reading.{subject}")
    running = Study.objects.filter(state__in=BLINDED_STATES).values("pk")
    return holds_answers & Q(study_id__in=running)
