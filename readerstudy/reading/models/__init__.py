"""Blinded reading: stored order, items, answers, and the record of how they were read.

At launch a *randomisation* is stored for the study: seed, algorithm version, constraints and the
whole permutation of each reader. A *session* is one reader's ordered *items* of one occasion. An
item shows one or more *panes* under opaque tokens: a candidate beside its control, one image, two
arms of a comparison, or all arms of a volunteer, as the protocol's mode says. A score is never
overwritten: each change is a new *revision*; so are comments and artifact marks. A *visit* records
how an item was looked at, a *display check* on what, a *receipt* what an act of the reader was
answered. Readers' browsers see tokens, pixels and geometry, nothing else.
"""

from __future__ import annotations

from .answers import CommentRevision, MarksRevision, Revision, ScoreRevision
from .order import Item, Pane, Randomisation, Session, new_token
from .record import DisplayCheck, Pause, Receipt, Visit

__all__ = [
    "CommentRevision",
    "DisplayCheck",
    "Item",
    "MarksRevision",
    "Pane",
    "Pause",
    "Randomisation",
    "Receipt",
    "Revision",
    "ScoreRevision",
    "Session",
    "Visit",
    "new_token",
]
