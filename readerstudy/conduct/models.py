"""What the coordinator's desk keeps of its own.

Beside the images of a study: whether each series was looked at and accepted, how far it lies off
the control, what the headers do not say of the acquisition, who was scanned and under which
consent, who withdrew and what was erased, and how experienced the readers are.
"""

from __future__ import annotations

import uuid

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from readerstudy.imaging.models import Series, Volunteer
from readerstudy.studies.models import Arm, Membership, Study


class SeriesCheck(models.Model):
    """A decision on one series. Decisions are added, never changed: the latest counts."""

    class Decision(models.TextChoices):
        ACCEPTED = "accepted", "Accepted"
        REJECTED = "rejected", "Rejected"

    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="checks")
    decision = models.CharField(max_length=10, choices=Decision.choices)
    reason = models.CharField(max_length=300, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    decided_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["series", "pk"]

    def __str__(self) -> str:
        return f"{self.series}: {self.decision}"


class SeriesShift(models.Model):
    """How far an arm lies off its volunteer's control, measured on the images themselves."""

    series = models.OneToOneField(Series, on_delete=models.CASCADE, related_name="shift")
    # The control that it was measured against; another one makes this row worthless.
    control_sha256 = models.CharField(max_length=64)
    # Along columns, rows and slices of the control, mm; null where it could not be measured.
    along_mm = models.JSONField(null=True)
    distance_mm = models.FloatField(null=True)
    peak = models.FloatField(null=True)  # of the correlation: 1 is a perfect match, 0 none
    note = models.CharField(max_length=200, blank=True)
    measured_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"shift of {self.series}"


class EnteredParameter(models.Model):
    """An acquisition parameter that the headers lack, as somebody entered it for an arm."""

    class Name(models.TextChoices):
        SCAN_TIME = "scan_time_s", "Scan time (s)"
        CS_FACTOR = "cs_factor", "Compressed-sensing factor"
        ACCELERATION = "acceleration", "Parallel-imaging factor"

    arm = models.ForeignKey(Arm, on_delete=models.CASCADE, related_name="entered_parameters")
    name = models.CharField(max_length=20, choices=Name.choices)
    value = models.FloatField(validators=[MinValueValidator(0.001), MaxValueValidator(100_000)])
    entered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    entered_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["arm", "name"]
        constraints = [
            models.UniqueConstraint(fields=["arm", "name"], name="one_entry_a_parameter")
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.arm}"


class Participant(models.Model):
    """Who was scanned: no more than the paper's first table and the ethics file need."""

    class Sex(models.TextChoices):
        FEMALE = "female", "Female"
        MALE = "male", "Male"
        OTHER = "other", "Other"

    volunteer = models.OneToOneField(
        Volunteer, on_delete=models.CASCADE, related_name="participant"
    )
    age_years = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MaxValueValidator(120)]
    )
    sex = models.CharField(max_length=10, choices=Sex.choices, blank=True)
    ethics_reference = models.CharField(max_length=100, blank=True)
    consented_on = models.DateField(null=True, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"participant {self.volunteer.code}"


class Withdrawal(models.Model):
    """The trace that a volunteer withdrew, and that the images were erased."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="withdrawals")
    volunteer_code = models.CharField(max_length=30)
    reason = models.CharField(max_length=300)
    withdrawn_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    withdrawn_at = models.DateTimeField(auto_now_add=True)
    # What was erased: arm, SHA-256 of the volume and number of files of each series; no image.
    series = models.JSONField(default=list)
    closed_items = models.PositiveIntegerField(default=0)
    # Prefixes whose files are still there; empty, with `erased_at`, once all are gone.
    pending = models.JSONField(default=list)
    erased_at = models.DateTimeField(null=True, blank=True)
    # Series of the inbox (ids) that say the same code and were left, as another site's or out of
    # the reach of whoever withdrew: a coordinator of the whole study looks whose they are.
    left_waiting = models.JSONField(default=list)

    class Meta:
        ordering = ["study", "withdrawn_at"]

    def __str__(self) -> str:
        return f"withdrawal of {self.volunteer_code}"


class ReaderExperience(models.Model):
    membership = models.OneToOneField(
        Membership, on_delete=models.CASCADE, related_name="experience"
    )
    years = models.PositiveSmallIntegerField(validators=[MaxValueValidator(70)])

    def __str__(self) -> str:
        return f"{self.years} years"


# Models of the lock, which Django looks for here.
from .locking_models import Locking, Unlocking  # noqa: E402, F401
