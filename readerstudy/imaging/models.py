"""Volunteers, uploads and series: how a scan gets into a study.

A *volunteer* is known here only by a study code. An *upload* is what a coordinator's browser, the
command line or a scanner sent; a worker reads it, de-identifies it and turns it into *series*, each
the one arm of one volunteer. What nobody has yet given a place, or what may show text, waits
de-identified in the *inbox*. What is stored is de-identified; the original bytes are deleted.
"""

from __future__ import annotations

import secrets
import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models

from readerstudy.jobs.models import Job
from readerstudy.studies.models import CODE, Arm, Site, Study

# What stands in the place of a file's own name once that is not needed any more.
ARCHIVE_NAME = "zip archive"
FILE_NAME = "file"
# What stands in the place of a volunteer's files in the history once they were erased.
ERASED_NAME = "erased: the volunteer withdrew"
VOLUNTEER_PATTERN = r"V\d{1,3}"


def random_secret() -> str:
    return secrets.token_hex(32)


class Volunteer(models.Model):
    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="volunteers")
    code = models.CharField(max_length=30, validators=[CODE])  # V01
    # Where the person was scanned; empty in a study without sites. Codes are unique over all.
    site = models.ForeignKey(
        Site, null=True, blank=True, on_delete=models.RESTRICT, related_name="volunteers"
    )
    # Scale and first window of all arms, from the control; empty without one: imaging.display.
    display = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["study", "code"]
        constraints = [
            models.UniqueConstraint(fields=["study", "code"], name="volunteer_code_once_a_study")
        ]

    def __str__(self) -> str:
        return self.code


class ImagingRules(models.Model):
    """What a study lets in and how dates are treated; without a row, the defaults hold."""

    class Dates(models.TextChoices):
        DROPPED = "dropped", "Dropped"
        SHIFTED = "shifted", "Shifted by a secret number of days, one for each volunteer"

    study = models.OneToOneField(Study, on_delete=models.CASCADE, related_name="imaging_rules")
    dates = models.CharField(max_length=10, choices=Dates.choices, default=Dates.DROPPED)
    # Every volunteer's shift is drawn from it. Shown to nobody, in no export, in no trail.
    date_secret = models.CharField(max_length=64, default=random_secret, editable=False)
    # A study code in a header's identifier is recognised by this pattern; nothing else is kept.
    volunteer_pattern = models.CharField(max_length=100, blank=True, default=VOLUNTEER_PATTERN)
    # The receiver: the title under which this study is called, and who may call.
    receiver_title = models.CharField(max_length=16, blank=True)
    senders = models.JSONField(default=list, blank=True)

    class Meta:
        verbose_name_plural = "imaging rules"
        constraints = [
            models.UniqueConstraint(
                fields=["receiver_title"],
                condition=~models.Q(receiver_title=""),
                name="receiver_title_once",
            )
        ]

    def __str__(self) -> str:
        return f"imaging rules of {self.study}"


class BatchRules(models.Model):
    """How the files of one batch find their places; deleted when the batch was read."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="+")
    batch = models.UUIDField(unique=True)
    mapping = models.JSONField(default=list)  # [[path, volunteer, arm code], …]
    pattern = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return str(self.batch)


class Upload(models.Model):
    class State(models.TextChoices):
        RECEIVING = "receiving", "Receiving"
        QUEUED = "queued", "Waiting for the worker"
        READING = "reading", "Being read"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="uploads")
    # Files sent together (a folder) share a batch and are read as one.
    batch = models.UUIDField(default=uuid.uuid4, db_index=True)
    # Whose volunteers its images are of; empty: a volunteer that is there already says it.
    site = models.ForeignKey(
        Site, null=True, blank=True, on_delete=models.RESTRICT, related_name="uploads"
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    # As sent, shown to its coordinators alone; once read, or after 30 days, a neutral one.
    name = models.CharField(max_length=255)
    # Where its series go; with either empty, the folders of the zip decide (V01/DF/…).
    volunteer_code = models.CharField(max_length=30, blank=True)
    arm = models.ForeignKey(Arm, null=True, blank=True, on_delete=models.SET_NULL)
    size = models.BigIntegerField()
    received = models.BigIntegerField(default=0)
    state = models.CharField(max_length=10, choices=State.choices, default=State.RECEIVING)
    job = models.ForeignKey(Job, null=True, blank=True, on_delete=models.SET_NULL)
    error = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return str(self.id)


class UploadedFile(models.Model):
    """What became of one file of an upload: accepted, or refused by name with the reason."""

    upload = models.ForeignKey(Upload, on_delete=models.CASCADE, related_name="files")
    name = models.CharField(max_length=500)
    accepted = models.BooleanField()
    reason = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["upload", "name"]

    def __str__(self) -> str:
        return f"{self.name}: {'accepted' if self.accepted else self.reason}"


class Series(models.Model):
    """One arm of one volunteer: de-identified DICOM, a canonical volume, acquisition parameters."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    volunteer = models.ForeignKey(Volunteer, on_delete=models.CASCADE, related_name="series")
    arm = models.ForeignKey(Arm, on_delete=models.PROTECT, related_name="series")
    upload = models.ForeignKey(
        Upload, null=True, blank=True, on_delete=models.SET_NULL, related_name="series"
    )
    # Storage: `prefix`/dicom/0001.dcm … and `prefix`/volume.npy, float32 [slices, rows, columns],
    # slices in anatomical order, rescale slope and intercept applied.
    prefix = models.CharField(max_length=200)
    volume_sha256 = models.CharField(max_length=64)
    rows = models.PositiveIntegerField()
    columns = models.PositiveIntegerField()
    slices = models.PositiveIntegerField()
    # Patient space (LPS, mm): {"origin", "row_direction", "column_direction", "slice_direction",
    # "row_spacing", "column_spacing", "slice_spacing"}; see imaging.geometry.
    geometry = models.JSONField()
    # Acquisition parameters for Table 1 (TR, TE, field strength …), from the headers.
    parameters = models.JSONField(default=dict)
    # Derived series: model, version, weights hash, noise level, blend, gain, backend, source hash.
    provenance = models.JSONField(default=dict)
    # For display only: matches the body median to the control's. Measurements never use it.
    display_factor = models.FloatField(default=1.0)
    # How that factor was found: body medians, whether it was limited.
    display = models.JSONField(default=dict)
    # What de-identification removed, kept and replaced: rules and counts, no value.
    deidentification = models.JSONField(default=dict)
    # Keyed hash of who the header named, shown to nobody: what waits in the inbox of the same
    # person is found by it. Empty where the header named nobody, and in derived series.
    person = models.CharField(max_length=64, blank=True)
    # Tells images that are sent twice; empty where nothing was sent.
    images_key = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "series"
        ordering = ["volunteer", "arm"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["volunteer", "arm"], name="one_series_a_cell")
        ]

    def __str__(self) -> str:
        return f"{self.volunteer.code} {self.arm.code}"


class InboxSeries(models.Model):
    """A de-identified series that waits for a place, or for somebody to look for text in it."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waits for a place"
        ASSIGNING = "assigning", "Being stored"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="inbox")
    number = models.PositiveIntegerField()  # what people call it
    upload = models.ForeignKey(
        Upload, null=True, blank=True, on_delete=models.SET_NULL, related_name="inbox"
    )
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    job = models.ForeignKey(Job, null=True, blank=True, on_delete=models.SET_NULL)
    # Storage: `prefix`/dicom/0001.dcm …, `prefix`/sheet.png
    prefix = models.CharField(max_length=200)
    rows = models.PositiveIntegerField()
    columns = models.PositiveIntegerField()
    slices = models.PositiveIntegerField()
    geometry = models.JSONField()
    parameters = models.JSONField(default=dict)
    deidentification = models.JSONField(default=dict)
    # Keyed hash of who the header names: tells series of one person from another's, no more.
    person = models.CharField(max_length=64, blank=True)
    images_key = models.CharField(max_length=64, blank=True)  # tells images that are sent twice
    volunteer_guess = models.CharField(max_length=30, blank=True)
    arm_guess = models.ForeignKey(
        Arm, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    note = models.CharField(max_length=500, blank=True)  # why it waits
    problem = models.CharField(max_length=500, blank=True)  # why it could not be stored
    suspicions = models.JSONField(default=list, blank=True)  # why it may show text
    cleared_at = models.DateTimeField(null=True, blank=True)
    cleared_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    date_shift = models.IntegerField(null=True, blank=True)  # of the dates in its files
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "inbox series"
        ordering = ["study", "number"]
        constraints = [
            models.UniqueConstraint(fields=["study", "number"], name="inbox_number_once_a_study")
        ]

    def __str__(self) -> str:
        return f"inbox {self.number}"

    @property
    def is_quarantined(self) -> bool:
        return bool(self.suspicions) and self.cleared_at is None
