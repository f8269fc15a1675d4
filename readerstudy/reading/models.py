"""Blinded reading: stored order, items, scores.

At launch a *randomisation* is stored for the study: seed, algorithm version, constraints and the
whole permutation of each reader. A *session* is one reader's ordered *items* of one occasion. An
item shows a candidate beside its control under opaque tokens. A score is never overwritten: each
change is a new *revision*. Readers' browsers see tokens, pixels and geometry, nothing else.
"""

from __future__ import annotations

import secrets

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from readerstudy.imaging.models import Volunteer
from readerstudy.studies.models import Arm, Criterion, Study


def new_token() -> str:
    """128 random bits: nothing about the item can be told from it, and it cannot be guessed."""
    return secrets.token_urlsafe(16)


class Randomisation(models.Model):
    study = models.OneToOneField(Study, on_delete=models.CASCADE, related_name="randomisation")
    seed = models.CharField(max_length=64)
    algorithm = models.CharField(max_length=30)  # name and version
    constraints = models.JSONField()
    # {"<reader code>": {"<occasion>": [["V01", "DF", "left", "primary"], …]}}
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

    class Side(models.TextChoices):
        LEFT = "left", "Left"
        RIGHT = "right", "Right"

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="items")
    position = models.PositiveIntegerField()
    volunteer = models.ForeignKey(Volunteer, on_delete=models.PROTECT, related_name="+")
    arm = models.ForeignKey(Arm, on_delete=models.PROTECT, related_name="+")  # the candidate
    purpose = models.CharField(max_length=10, choices=Purpose.choices, default=Purpose.PRIMARY)
    control_side = models.CharField(max_length=5, choices=Side.choices, default=Side.LEFT)
    token = models.CharField(max_length=32, unique=True, default=new_token)
    control_token = models.CharField(max_length=32, unique=True, default=new_token)
    candidate_token = models.CharField(max_length=32, unique=True, default=new_token)
    opened_at = models.DateTimeField(null=True, blank=True)
    submitted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["session", "position"]
        constraints = [
            models.UniqueConstraint(fields=["session", "position"], name="one_item_a_position")
        ]

    def __str__(self) -> str:
        return f"item {self.position} of {self.session}"


class ScoreRevision(models.Model):
    """One reader's score of one criterion of one item; the highest revision counts."""

    item = models.ForeignKey(Item, on_delete=models.PROTECT, related_name="scores")
    criterion = models.ForeignKey(Criterion, on_delete=models.PROTECT, related_name="+")
    revision = models.PositiveIntegerField()
    value = models.PositiveSmallIntegerField(
        validators=[MinValueValidator(1), MaxValueValidator(5)]
    )
    reason = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["item", "criterion", "revision"]
        constraints = [
            models.UniqueConstraint(
                fields=["item", "criterion", "revision"], name="one_score_a_revision"
            ),
            models.CheckConstraint(
                condition=models.Q(value__gte=1, value__lte=5), name="score_is_one_to_five"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.criterion}: {self.value}"
