"""Housekeeping of the platform itself."""

from __future__ import annotations

from django.contrib.sessions.models import Session
from django.utils import timezone

from .registry import periodic


@periodic(6 * 3600)
def forget_expired_sessions() -> int:
    """Delete the sessions that have ended. Returns how many."""
    deleted, _ = Session.objects.filter(expire_date__lt=timezone.now()).delete()
    return deleted
