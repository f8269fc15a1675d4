"""Work that no web request may wait for.

The row is the truth; a queue would only wake a worker. A worker claims a queued or expired row in
one transaction, receives a token and a lease, renews the lease from a thread, and writes through
that token alone: a worker that was frozen and thaws finds its token gone and its writes refused.
"""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models


class Job(models.Model):
    class State(models.TextChoices):
        QUEUED = "queued", "Waiting"
        RUNNING = "running", "Running"
        SUCCEEDED = "succeeded", "Done"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    class Queue(models.TextChoices):
        CPU = "cpu", "cpu"
        GPU = "gpu", "gpu"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=100)  # dotted name of the registered task
    queue = models.CharField(max_length=10, choices=Queue.choices, default=Queue.CPU)
    payload = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    study_id = models.UUIDField(null=True, db_index=True)
    label = models.CharField(max_length=200, blank=True)  # for people; no patient data
    progress_done = models.PositiveIntegerField(default=0)
    progress_total = models.PositiveIntegerField(default=0)
    message = models.CharField(max_length=300, blank=True)
    result = models.JSONField(default=dict)
    error = models.TextField(blank=True)  # for people: what went wrong and what to do
    attempts = models.PositiveIntegerField(default=0)
    max_attempts = models.PositiveIntegerField(default=3)
    token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    run_after = models.DateTimeField(null=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["created_at"]
        indexes = [models.Index(fields=["state", "queue", "created_at"])]

    def __str__(self) -> str:
        return f"{self.kind} ({self.state})"

    @property
    def is_over(self) -> bool:
        return self.state in {self.State.SUCCEEDED, self.State.FAILED, self.State.CANCELLED}


class WorkerProcess(models.Model):
    """A worker that runs, or ran until its machine failed: `seen_at` tells the two apart."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    host = models.CharField(max_length=200)
    pid = models.PositiveIntegerField()
    queues = models.CharField(max_length=50)  # names, separated by spaces
    device = models.CharField(max_length=50, blank=True)  # the GPUs that it may see
    job_id = models.UUIDField(null=True)  # in hand
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    class Meta:
        ordering = ["host", "pid"]

    def __str__(self) -> str:
        return f"{self.host} {self.pid} ({self.queues})"
