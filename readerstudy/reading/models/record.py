"""How it was read: visits, displays, pauses, and what every act was answered.

Visits and displays are for the statistician, after the lock, and for nobody else.
"""

from __future__ import annotations

from django.db import models

from .order import Item, Session


class Visit(models.Model):
    """One visit of an item: from its showing until it was left. Written once."""

    item = models.ForeignKey(Item, on_delete=models.PROTECT, related_name="visits")
    active_ms = models.PositiveIntegerField()  # without the interruptions
    interrupted_ms = models.PositiveIntegerField()
    # Slices, windows, zoom, tools, display, each interruption: `record_content` says what.
    content = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["item_id", "id"]

    def __str__(self) -> str:
        return f"visit of {self.item}"


class DisplayCheck(models.Model):
    """The display that a session was read on, and what of a low-contrast pattern was seen there."""

    class Result(models.TextChoices):
        GOOD = "good", "The pattern was seen"
        POOR = "poor", "Parts of the pattern were not seen"
        SKIPPED = "skipped", "The pattern was not looked at"

    session = models.ForeignKey(Session, on_delete=models.PROTECT, related_name="display_checks")
    result = models.CharField(max_length=10, choices=Result.choices)
    content = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["session_id", "id"]

    def __str__(self) -> str:
        return f"display of {self.session}: {self.result}"


class Pause(models.Model):
    """A pause that the protocol asked for; over when the reader goes on."""

    session = models.ForeignKey(Session, on_delete=models.PROTECT, related_name="pauses")
    began_at = models.DateTimeField()
    until = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["session_id", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["session"],
                condition=models.Q(ended_at=None),
                name="one_pause_at_a_time",
            )
        ]

    def __str__(self) -> str:
        return f"pause of {self.session}"


class Receipt(models.Model):
    """What an act of the reader was answered, by the id that the page gave the act.

    An act that is sent again, because its answer was lost, gets the same answer and is not done
    twice.
    """

    session = models.ForeignKey(Session, on_delete=models.PROTECT, related_name="receipts")
    client_id = models.UUIDField()
    act = models.CharField(max_length=60)  # what was done to which item
    content_sha256 = models.CharField(max_length=64)
    answer = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["session_id", "id"]
        constraints = [
            models.UniqueConstraint(fields=["session", "client_id"], name="one_receipt_an_act")
        ]

    def __str__(self) -> str:
        return f"receipt {self.client_id}"
