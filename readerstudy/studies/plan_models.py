"""How the study will be analysed: the plan as it is being written, and its signed versions."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

# What of a plan its own form decides; arms, comparisons, criteria and regions are the design's.
PLAN_SETTINGS = (
    "noise_estimate",
    "beside",
    "reader_summary",
    "method",
    "zeros",
    "family",
    "alpha",
    "decimals",
    "missing",
    "margin",
    "agreement",
    "sensitivity",
    "choice_summary",
)


def default_agreement() -> list[str]:
    return ["percent_agreement", "krippendorff_alpha", "gwet_ac"]


def default_beside() -> list[str]:
    return ["difference", "tissue_sd", "contrast_ratio", "contrast_difference"]


class Plan(models.Model):
    """The plan as it is being written: the draft of the next version to be signed.

    Checked by `analysis` some floors up. What counts is the last signed version (`PlanVersion`);
    as long as none is signed, what the launch froze.
    """

    study = models.OneToOneField("studies.Study", on_delete=models.CASCADE, related_name="plan")
    noise_estimate = models.CharField(max_length=30, default="air_sd")
    beside = models.JSONField(default=default_beside, blank=True)
    reader_summary = models.CharField(max_length=10, default="median")
    method = models.CharField(max_length=15, default="exact")
    zeros = models.CharField(max_length=10, default="drop")
    family = models.CharField(max_length=10, default="row")
    alpha = models.FloatField(
        default=0.05, validators=[MinValueValidator(0.0001), MaxValueValidator(0.5)]
    )
    decimals = models.PositiveSmallIntegerField(default=6)
    missing = models.CharField(max_length=10, default="available")
    margin = models.FloatField(null=True, blank=True)  # of non-inferiority, score points
    agreement = models.JSONField(default=default_agreement, blank=True)
    sensitivity = models.JSONField(default=list, blank=True)
    choice_summary = models.CharField(max_length=10, default="majority")
    # Counts the changes: a form that was opened before the last one is told so.
    revision = models.PositiveIntegerField(default=0)
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    changed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        app_label = "studies"

    def __str__(self) -> str:
        return f"plan of {self.study}"

    def settings(self) -> dict[str, Any]:
        """What the plan decides, as plain data."""
        return {name: getattr(self, name) for name in PLAN_SETTINGS}


class PlanVersion(models.Model):
    """A plan as somebody signed it. Never changed: an amendment is a further version."""

    study = models.ForeignKey(
        "studies.Study", on_delete=models.PROTECT, related_name="plan_versions"
    )
    number = models.PositiveIntegerField()
    document = models.JSONField()  # the whole plan, canonical, design included
    sha256 = models.CharField(max_length=64)
    reason = models.CharField(max_length=500, blank=True)  # of an amendment
    meaning = models.CharField(max_length=200)  # what the signature says
    # The state of the study at that moment: after the unblinding a change is post hoc.
    study_state = models.CharField(max_length=10)
    signed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    signed_name = models.CharField(max_length=200)  # as it was printed under the plan
    signed_at = models.DateTimeField()

    class Meta:
        app_label = "studies"
        ordering = ["study", "number"]
        constraints = [
            models.UniqueConstraint(fields=["study", "number"], name="one_plan_a_version")
        ]

    def __str__(self) -> str:
        return f"plan version {self.number} of {self.study}"
