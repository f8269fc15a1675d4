"""Regions of interest and what they measure.

One region geometry a volunteer and tissue, in patient millimetres on one slice, is applied to all
arms. Statistics are computed on the server from stored pixel values, never from display values.
A moved region is a new revision; the highest revision counts.

Whoever places a region sees the control alone and no figure until the volunteer's regions are
frozen. A second observer, another person, may place regions of their own: what the first observer
placed is what the study analyses, the second tells how far two observers agree.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models

from readerstudy.imaging.models import Series, Volunteer
from readerstudy.studies.models import Arm, Tissue

FIRST_OBSERVER, SECOND_OBSERVER = 1, 2
OBSERVERS = (FIRST_OBSERVER, SECOND_OBSERVER)


class Placing(models.Model):
    """How one observer stands with the regions of one volunteer."""

    volunteer = models.ForeignKey(Volunteer, on_delete=models.CASCADE, related_name="placings")
    observer = models.PositiveSmallIntegerField(default=FIRST_OBSERVER)
    # For method work: all arms and all figures are on the screen while regions are placed.
    unblinded = models.BooleanField(default=False)
    frozen_at = models.DateTimeField(null=True, blank=True)
    frozen_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    # How often they were opened again after the figures had been seen.
    reopened = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["volunteer", "observer"]
        constraints = [
            models.UniqueConstraint(
                fields=["volunteer", "observer"], name="one_placing_an_observer"
            )
        ]

    def __str__(self) -> str:
        return f"regions of {self.volunteer.code}, observer {self.observer}"

    @property
    def is_frozen(self) -> bool:
        return self.frozen_at is not None


class Region(models.Model):
    volunteer = models.ForeignKey(Volunteer, on_delete=models.PROTECT, related_name="regions")
    tissue = models.ForeignKey(Tissue, on_delete=models.PROTECT, related_name="regions")
    observer = models.PositiveSmallIntegerField(default=FIRST_OBSERVER)
    revision = models.PositiveIntegerField(default=1)
    slice_index = models.PositiveIntegerField()
    centre = models.JSONField()  # [x, y, z], mm, patient space (LPS)
    semi_axes_mm = models.JSONField()  # [along the row direction, along the column direction]
    angle_deg = models.FloatField(default=0.0)  # from row direction towards column direction
    # Whether figures were on the screen, or had been, when it was placed.
    unblinded = models.BooleanField(default=False)
    placed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["volunteer", "tissue", "revision"]
        constraints = [
            models.UniqueConstraint(
                fields=["volunteer", "tissue", "observer", "revision"],
                name="one_region_a_revision",
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
    observer = models.PositiveSmallIntegerField(default=FIRST_OBSERVER)
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
                fields=["volunteer", "arm", "tissue", "observer", "revision"],
                name="one_measurement_a_revision",
            )
        ]

    def __str__(self) -> str:
        return f"{self.tissue.code} {self.arm.code} {self.volunteer.code}"
