"""Scores and orders in the administration site: to be read, never to be changed.

An administrator who reads in a study that is not locked sees none of its rows: they tell the arms.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from readerstudy.studies.models import Role, Study

from .models import Item, Randomisation, ScoreRevision, Session


class ReadOnlyAdmin(admin.ModelAdmin):
    study_path = "study"  # lookup from the row to its study

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        blinded = Study.objects.filter(
            memberships__user=request.user.pk,
            memberships__role=Role.READER,
            state__in=[Study.State.DRAFT, Study.State.READING],
        )
        return super().get_queryset(request).exclude(**{f"{self.study_path}__in": blinded})

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Randomisation)
class RandomisationAdmin(ReadOnlyAdmin):
    list_display = ("study", "algorithm", "sha256", "created_at")


@admin.register(Session)
class SessionAdmin(ReadOnlyAdmin):
    list_display = ("study", "reader_code", "occasion", "started_at", "completed_at")
    list_filter = ("study",)


@admin.register(Item)
class ItemAdmin(ReadOnlyAdmin):
    study_path = "session__study"
    list_display = ("session", "position", "purpose", "opened_at", "submitted_at")


@admin.register(ScoreRevision)
class ScoreRevisionAdmin(ReadOnlyAdmin):
    study_path = "item__session__study"
    list_display = ("item", "criterion", "value", "revision", "created_at")
