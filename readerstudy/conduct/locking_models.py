"""The locks of a study, one after the other, and what opened them again."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from readerstudy.studies.models import Study


class Locking(models.Model):
    """One lock: who, when, what was left open, and why it was locked all the same."""

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="lockings")
    number = models.PositiveIntegerField()
    reason = models.CharField(max_length=300, blank=True)
    # [{"reader": code, "occasion": 1, "open": 3}, …]: items that were never submitted.
    open_items = models.JSONField(default=list)
    locked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    locked_at = models.DateTimeField()

    class Meta:
        ordering = ["study", "number"]
        constraints = [
            models.UniqueConstraint(fields=["study", "number"], name="one_lock_a_number")
        ]

    def __str__(self) -> str:
        return f"lock {self.number} of {self.study}"

    @property
    def open_total(self) -> int:
        return sum(line["open"] for line in self.open_items)


class Unlocking(models.Model):
    """A lock that an administrator opened again. The lock and its frozen data stay on record."""

    locking = models.OneToOneField(Locking, on_delete=models.PROTECT, related_name="unlocking")
    reason = models.CharField(max_length=300)
    unlocked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    unlocked_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"opening of {self.locking}"
