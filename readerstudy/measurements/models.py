"""Regions of interest and what they measure.

One region geometry a volunteer and tissue, in patient millimetres on one slice, is applied to all
arms. Statistics are computed on the server from stored pixel values, never from display values.
A moved region is a new revision; the highest revision counts.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models

from readerstudy.imaging.models import Series, Volunteer
from readerstudy.studies.models import Arm, Tissue


class Region(models.Model):
    volunteer = models.ForeignKey(Volunteer, on_delete=models.PROTECT, related_name="regions")
    tissue = models.ForeignKey(Tissue, on_delete=models.PROTECT, related_name="regions")
    revision = models.PositiveIntegerField(default=1)
    slice_index = models.PositiveIntegerField()
    centre = models.JSONField()  # [x, y, z], mm, patient space (LPS)
    semi_axes_mm = models.JSONField()  # [along the row direction, along the column direction]
    angle_deg = models.FloatField(default=0.0)  # from row direction towards column direction
    placed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["volunteer", "tissue", "revision"]
        constraints = [
            models.UniqueConstraint(
                fields=["volunteer", "tissue", "revision"], name="one_region_a_revision"
            )
        ]

    def __str__(self) -> str:
        return f"{self.tissue.code} of {self.volunteer.code}"


class Measurement(models.Model):
    """The statistics of one region in one arm; or, imported, those that another tool measured."""

    class Origin(models.TextChoices):
        MEASURED = "measured", "Measured here"
        IMPORTED = "imported", "Imported"

    volunteer = models.ForeignKey(Volunteer, on_delete=models.PROTECT, related_name="measurements")
    arm = models.ForeignKey(Arm, on_delete=models.PROTECT, related_name="+")
    tissue = models.ForeignKey(Tissue, on_delete=models.PROTECT, related_name="+")
    region = models.ForeignKey(
        Region, null=True, blank=True, on_delete=models.PROTECT, related_name="measurements"
    )
    series = models.ForeignKey(
        Series, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    origin = models.CharField(max_length=10, choices=Origin.choices, default=Origin.MEASURED)
    revision = models.PositiveIntegerField(default=1)  # follows the region's
    n_pixels = models.PositiveIntegerField()
    mean = models.FloatField()
    sd = models.FloatField()  # sample SD (ddof 1)
    area_mm2 = models.FloatField()
    counted_area_mm2 = models.FloatField(null=True, blank=True)
    # Pixels that are exactly zero, and as bright as the brightest of the slice; empty if imported.
    n_zero = models.PositiveIntegerField(null=True, blank=True)
    n_at_limits = models.PositiveIntegerField(null=True, blank=True)
    warnings = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["volunteer", "tissue", "arm", "revision"]
        constraints = [
            models.UniqueConstraint(
                fields=["volunteer", "arm", "tissue", "revision"],
                name="one_measurement_a_revision",
            )
        ]

    def __str__(self) -> str:
        return f"{self.tissue.code} {self.arm.code} {self.volunteer.code}"
