"""The audit trail: who did what, when, to what, why.

Append-only. Each event carries the hash of the one before it, so that a change behind the
platform's back is found and named by ``manage.py verify_audit``. Database triggers refuse UPDATE
and DELETE; `readerstudy.audit.triggers` puts them back after every migration.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models


class Event(models.Model):
    """One act. Written by `services.record` alone, inside the transaction of the act itself."""

    # The position in the chain: 1, 2, 3 … without a gap.
    sequence = models.BigIntegerField(unique=True, editable=False)
    at = models.DateTimeField(editable=False)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Empty when the platform itself acted (a worker, a command).",
    )
    action = models.CharField(max_length=100, db_index=True)  # dotted: reading.score.revised
    study_id = models.UUIDField(null=True, db_index=True)
    subject_type = models.CharField(max_length=100, blank=True)  # imaging.series
    subject_id = models.CharField(max_length=64, blank=True, db_index=True)
    old = models.JSONField(null=True)
    new = models.JSONField(null=True)
    why = models.TextField(blank=True)
    previous_hash = models.CharField(max_length=64, editable=False)
    hash = models.CharField(max_length=64, unique=True, editable=False)

    class Meta:
        ordering = ["sequence"]

    def __str__(self) -> str:
        return f"{self.sequence} {self.action}"
