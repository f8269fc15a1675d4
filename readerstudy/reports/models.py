"""Frozen data, the key that opens the blind, and the tables that come of them."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from readerstudy.conduct.models import Locking
from readerstudy.studies.models import PlanVersion, Study


class Snapshot(models.Model):
    """The scores and measurements of a locked study, canonical, with their hash.

    Until the key opens, the hash of the named data stays in this table: with the masked data at
    hand, trying all orders of the letters against it would open the key. What the trail keeps from
    the lock on is the commitment, the hash of a random salt and of that hash.
    """

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="snapshots")
    # The lock that it was taken at; none where it was taken before locks had rows.
    locking = models.ForeignKey(
        Locking, null=True, blank=True, on_delete=models.PROTECT, related_name="snapshots"
    )
    data = models.JSONField()
    sha256 = models.CharField(max_length=64)
    salt = models.CharField(max_length=64, blank=True)
    commitment = models.CharField(max_length=64, blank=True)
    # The plan, where the snapshot was taken before plans were signed by themselves.
    plan = models.JSONField(default=dict, blank=True)
    plan_sha256 = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["study", "created_at"]

    def __str__(self) -> str:
        return f"snapshot {self.sha256[:12]} of {self.study}"


class Unblinding(models.Model):
    """The act of opening the key: who, when, under which plan, over which data."""

    study = models.OneToOneField(Study, on_delete=models.PROTECT, related_name="unblinding")
    snapshot = models.ForeignKey(Snapshot, on_delete=models.PROTECT, related_name="+")
    # None where the key was opened before plans were signed: the snapshot's own counts then.
    plan_version = models.ForeignKey(
        PlanVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
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


class Exclusion(models.Model):
    """A volunteer or a reader whom an analysis leaves out, with the reason.

    The frozen data stay as they are: results are shown with and without. Taken back by a further
    row that refers to this one, never by deleting it.
    """

    class Kind(models.TextChoices):
        VOLUNTEER = "volunteer", "Volunteer"
        READER = "reader", "Reader"

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="exclusions")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    code = models.CharField(max_length=30)
    reason = models.CharField(max_length=500)
    takes_back = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="taken_back_by"
    )
    study_state = models.CharField(max_length=10)  # after unblinding it is post hoc
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    at = models.DateTimeField()

    class Meta:
        ordering = ["study", "pk"]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.code} left out of {self.study}"

    @property
    def is_post_hoc(self) -> bool:
        return self.study_state == Study.State.UNBLINDED


# Models of the exports, which Django looks for here.
from .export_models import ApiToken, Export  # noqa: E402, F401
