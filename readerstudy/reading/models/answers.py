"""What a reader answers: append-only revisions, of which the highest counts."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from readerstudy.studies.models import Criterion

from .order import Item

REASON_LENGTH = 300
COMMENT_LENGTH = 1000


class Revision(models.Model):
    """What scores, comments and marks have in common."""

    revision = models.PositiveIntegerField()
    reason = models.CharField(max_length=REASON_LENGTH, blank=True)  # of the change
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        abstract = True


class ScoreRevision(Revision):
    """One reader's answer to one criterion of one item.

    Exactly one of three: `value` (a point 1 … 5, or the number of the pane chosen), `ranks` (of the
    panes in their order, 1 is best), or `cannot_assess`, the reason why there is none.
    """

    item = models.ForeignKey(Item, on_delete=models.PROTECT, related_name="scores")
    criterion = models.ForeignKey(Criterion, on_delete=models.PROTECT, related_name="+")
    value = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(5)]
    )
    ranks = models.JSONField(null=True, blank=True)
    cannot_assess = models.CharField(max_length=REASON_LENGTH, blank=True)

    class Meta:
        ordering = ["item_id", "criterion", "revision"]
        constraints = [
            models.UniqueConstraint(
                fields=["item", "criterion", "revision"], name="one_score_a_revision"
            ),
            models.CheckConstraint(
                condition=models.Q(value=None) | models.Q(value__gte=1, value__lte=5),
                name="score_is_one_to_five",
            ),
            models.CheckConstraint(
                condition=models.Q(value__isnull=False, ranks__isnull=True, cannot_assess="")
                | models.Q(value__isnull=True, ranks__isnull=False, cannot_assess="")
                | (models.Q(value__isnull=True, ranks__isnull=True) & ~models.Q(cannot_assess="")),
                name="score_is_one_answer",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.criterion}: {self.value or self.ranks or 'cannot be assessed'}"


class CommentRevision(Revision):
    """A reader's comment on an item; empty when it was taken back."""

    item = models.ForeignKey(Item, on_delete=models.PROTECT, related_name="comments")
    text = models.CharField(max_length=COMMENT_LENGTH, blank=True)

    class Meta:
        ordering = ["item_id", "revision"]
        constraints = [
            models.UniqueConstraint(fields=["item", "revision"], name="one_comment_a_revision")
        ]

    def __str__(self) -> str:
        return f"comment on {self.item}, revision {self.revision}"


class MarksRevision(Revision):
    """The arrows on an item's images as they stand after a change.

    [{"pane": 2, "slice": 7, "tail": [x, y, z], "head": [x, y, z]}, …], in patient millimetres.
    """

    item = models.ForeignKey(Item, on_delete=models.PROTECT, related_name="marks")
    marks = models.JSONField(default=list)

    class Meta:
        ordering = ["item_id", "revision"]
        verbose_name_plural = "marks revisions"
        constraints = [
            models.UniqueConstraint(fields=["item", "revision"], name="one_set_of_marks_a_revision")
        ]

    def __str__(self) -> str:
        return f"marks on {self.item}, revision {self.revision}"
