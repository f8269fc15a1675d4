"""Series that the worker makes: a recipe applied to a volunteer's images or raw data.

A *derived* arm is made from the series of another arm, or from that arm's raw data. An *acquired*
arm whose scan was sent as raw data is reconstructed from them, as they were measured. Either way
the job runs on the gpu queue and is told of by a *variant*.
"""

from __future__ import annotations

import uuid

from django.db import models

from readerstudy.imaging.models import Series, Upload, Volunteer
from readerstudy.jobs.models import Job
from readerstudy.studies.models import Arm


class RawData(models.Model):
    """The k-space of one acquired arm of one volunteer, without who was scanned."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    volunteer = models.ForeignKey(Volunteer, on_delete=models.CASCADE, related_name="raw_data")
    arm = models.ForeignKey(Arm, on_delete=models.PROTECT, related_name="raw_data")
    upload = models.ForeignKey(
        Upload, null=True, blank=True, on_delete=models.SET_NULL, related_name="raw_data"
    )
    # Storage: `prefix`/kspace.npy, mask.npy, scan.json and so on: `denoise_engine.rawdata.storing`.
    prefix = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64)  # of kspace.npy
    # Planes, coils, matrix, sampling, acquisition parameters, warnings.
    description = models.JSONField(default=dict)
    # What all series of one scan share in DICOM.
    study_uid = models.CharField(max_length=64)
    frame_uid = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "raw data"
        ordering = ["volunteer", "arm"]
        constraints = [
            models.UniqueConstraint(fields=["volunteer", "arm"], name="one_raw_scan_a_cell")
        ]

    def __str__(self) -> str:
        return f"raw data of {self.volunteer.code} {self.arm.code}"


class Variant(models.Model):
    """The wish to have a cell of the grid made by the worker, and what became of it."""

    volunteer = models.ForeignKey(Volunteer, on_delete=models.CASCADE, related_name="variants")
    arm = models.ForeignKey(Arm, on_delete=models.PROTECT, related_name="variants")
    # The series it is made from or, made from raw data, is compared with; none for an acquired arm.
    source = models.ForeignKey(
        Series, null=True, blank=True, on_delete=models.CASCADE, related_name="variants"
    )
    raw = models.ForeignKey(
        RawData, null=True, blank=True, on_delete=models.CASCADE, related_name="variants"
    )
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL)
    series = models.OneToOneField(
        Series, null=True, blank=True, on_delete=models.SET_NULL, related_name="variant"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["volunteer", "arm"]
        constraints = [
            models.UniqueConstraint(fields=["volunteer", "arm"], name="one_variant_a_cell"),
            models.CheckConstraint(
                condition=models.Q(source__isnull=False) | models.Q(raw__isnull=False),
                name="variant_is_made_from_something",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.volunteer.code} {self.arm.code}"
