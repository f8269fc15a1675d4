"""Frozen data, the key that opens the blind, and the tables that come of them."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from readerstudy.studies.models import Study


class Snapshot(models.Model):
    """The scores and measurements of a locked study, canonical, with their hash."""

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="snapshots")
    data = models.JSONField()
    sha256 = models.CharField(max_length=64)
    plan = models.JSONField()
    plan_sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["study", "created_at"]

    def __str__(self) -> str:
        return f"snapshot {self.sha256[:12]} of {self.study}"


class Unblinding(models.Model):
    """The act of opening the key: who, when, under which plan, over which data."""

    study = models.OneToOneField(Study, on_delete=models.PROTECT, related_name="unblinding")
    snapshot = models.ForeignKey(Snapshot, on_delete=models.PROTECT, related_name="+")
    plan_sha256 = models.CharField(max_length=64)
    data_sha256 = models.CharField(max_length=64)
    audit_head = models.CharField(max_length=64)  # the trail's last hash at that moment
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    reason = models.CharField(max_length=300, blank=True)
    at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"unblinding of {self.study}"


# Models of the exports, which Django looks for here.
from .export_models import ApiToken, Export  # noqa: E402, F401
