"""Derived arms: a recipe applied to a volunteer's source series on the worker's gpu queue."""

from __future__ import annotations

from django.db import models

from readerstudy.imaging.models import Series, Volunteer
from readerstudy.jobs.models import Job
from readerstudy.studies.models import Arm


class Variant(models.Model):
    """The wish to have a derived arm of a volunteer, and what became of it."""

    volunteer = models.ForeignKey(Volunteer, on_delete=models.CASCADE, related_name="variants")
    arm = models.ForeignKey(Arm, on_delete=models.PROTECT, related_name="variants")
    source = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="variants")
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL)
    series = models.OneToOneField(
        Series, null=True, blank=True, on_delete=models.SET_NULL, related_name="variant"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["volunteer", "arm"]
        constraints = [
            models.UniqueConstraint(fields=["volunteer", "arm"], name="one_variant_a_cell")
        ]

    def __str__(self) -> str:
        return f"{self.volunteer.code} {self.arm.code}"
