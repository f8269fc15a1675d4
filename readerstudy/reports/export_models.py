"""What leaves the platform: bundles made in the background, and the tokens of the read-only API."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models

from readerstudy.jobs.models import Job
from readerstudy.studies.models import Study


class Export(models.Model):
    """One bundle of a locked study, made by a job and kept in the storage."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="exports")
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL, related_name="+")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    # The plan's version where it was asked for; else the one that the key was opened under.
    plan_version = models.PositiveIntegerField(null=True, blank=True)
    # Empty until the job has published it.
    name = models.CharField(max_length=200, blank=True)
    path = models.CharField(max_length=300, blank=True)
    is_masked = models.BooleanField(default=True)
    # Holds what only the statistician may have of the reading.
    is_statisticians = models.BooleanField(default=False)
    size = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    plan_sha256 = models.CharField(max_length=64, blank=True)
    data_sha256 = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"export of {self.study}"

    @property
    def is_ready(self) -> bool:
        return bool(self.path)


class ApiToken(models.Model):
    """Lets a program read the results of one study as one person. Only its hash is kept."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens"
    )
    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=60)
    sha256 = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "API token"

    def __str__(self) -> str:
        return self.name
