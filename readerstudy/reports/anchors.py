"""Heads of the trail that are kept beside it: those that the unblindings wrote down."""

from __future__ import annotations

from readerstudy.audit.anchors import Anchor

from .models import Unblinding


def unblinding_anchors() -> list[Anchor]:
    """That an unblinding is on record with its head, the trail must bear out."""
    opened = Unblinding.objects.select_related("study").order_by("pk")
    return [Anchor(f"the unblinding of “{one.study.title}”", one.audit_head) for one in opened]
