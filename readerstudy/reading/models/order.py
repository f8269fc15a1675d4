"""The stored order: sessions of items, and the panes that an item shows."""

from __future__ import annotations

import secrets

from django.conf import settings
from django.db import models

from readerstudy.imaging.models import Volunteer
from readerstudy.studies.models import Arm, Comparison, Study


def new_token() -> str:
    """128 random bits: nothing about the item can be told from it, and it cannot be guessed."""
    return secrets.token_urlsafe(16)


class Randomisation(models.Model):
    study = models.OneToOneField(Study, on_delete=models.CASCADE, related_name="randomisation")
    seed = models.CharField(max_length=64)
    algorithm = models.CharField(max_length=30)  # name and version
    constraints = models.JSONField()
    # {"<reader code>": {"<occasion>": [row, …]}}; what a row holds, the algorithm says.
    permutation = models.JSONField()
    sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"randomisation of {self.study}"


class Session(models.Model):
    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="sessions")
    reader = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="sessions"
    )
    reader_code = models.CharField(max_length=20)
    occasion = models.PositiveSmallIntegerField(default=1)
    token = models.CharField(max_length=32, unique=True, default=new_token)
    is_imported = models.BooleanField(default=False)  # scored elsewhere, brought in from a table
    opens_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["study", "reader_code", "occasion"]
        constraints = [
            models.UniqueConstraint(
                fields=["study", "reader_code", "occasion"], name="one_session_an_occasion"
            )
        ]

    def __str__(self) -> str:
        return f"{self.reader_code}, occasion {self.occasion}"


class Item(models.Model):
    class Purpose(models.TextChoices):
        PRIMARY = "primary", "Primary"
        REPEAT = "repeat", "Hidden repeat"
        PRACTICE = "practice", "Practice"

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="items")
    position = models.PositiveIntegerField()
    volunteer = models.ForeignKey(Volunteer, on_delete=models.PROTECT, related_name="+")
    # What is scored, where that is one arm: the candidate, or the one image of the item.
    arm = models.ForeignKey(Arm, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    # What is asked, in a forced choice.
    comparison = models.ForeignKey(
        Comparison, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    purpose = models.CharField(max_length=10, choices=Purpose.choices, default=Purpose.PRIMARY)
    token = models.CharField(max_length=32, unique=True, default=new_token)
    opened_at = models.DateTimeField(null=True, blank=True)
    submitted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["session", "position"]
        constraints = [
            models.UniqueConstraint(fields=["session", "position"], name="one_item_a_position")
        ]

    def __str__(self) -> str:
        return f"item {self.position} of {self.session}"


class Pane(models.Model):
    """One image of an item: which arm stands at which place, under a token of its own.

    Items of imported sessions have none: what was shown there, and where, is not known here.
    """

    class Role(models.TextChoices):
        CONTROL = "control", "Control"
        CANDIDATE = "candidate", "Candidate"
        IMAGE = "image", "Image"

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="panes")
    number = models.PositiveSmallIntegerField()  # 1 is the leftmost
    role = models.CharField(max_length=10, choices=Role.choices)
    arm = models.ForeignKey(Arm, on_delete=models.PROTECT, related_name="+")
    token = models.CharField(max_length=32, unique=True, default=new_token)
    # When its pixels first left: an item whose pixels never did cannot be submitted.
    fetched_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["item_id", "number"]
        constraints = [
            models.UniqueConstraint(fields=["item", "number"], name="one_pane_a_place"),
        ]

    def __str__(self) -> str:
        return f"pane {self.number} of {self.item}"
