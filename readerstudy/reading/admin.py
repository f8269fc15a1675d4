"""Scores and orders in the administration site: to be read, never to be changed.

Before a study is locked nobody sees its scores, nor which volunteer and arm an item shows. An
administrator who reads in it sees none of its rows.
"""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from readerstudy.studies.models import Role, Study

from .audit_visibility import BLINDED_STATES
from .models import Item, Randomisation, ScoreRevision, Session


class ReadOnlyAdmin(admin.ModelAdmin):
    study_path = "study"  # lookup from the row to its study
    from_the_lock_on: tuple[str, ...] = ()  # fields that are shown once the study is locked

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        blinded = Study.objects.filter(
            memberships__user=request.user.pk,
            memberships__role=Role.READER,
            state__in=BLINDED_STATES,
        )
        return super().get_queryset(request).exclude(**{f"{self.study_path}__in": blinded})

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = list(super().get_fields(request, obj))
        if obj is not None and self.study_of(obj).state not in BLINDED_STATES:
            return fields
        return [name for name in fields if name not in self.from_the_lock_on]

    def study_of(self, obj: Any) -> Study:
        found = obj
        for step in self.study_path.split("__"):
            found = getattr(found, step)
        return cast(Study, found)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Randomisation)
class RandomisationAdmin(ReadOnlyAdmin):
    list_display = ("study", "algorithm", "sha256", "created_at")
    from_the_lock_on = ("seed", "permutation")


@admin.register(Session)
class SessionAdmin(ReadOnlyAdmin):
    list_display = ("study", "reader_code", "occasion", "started_at", "completed_at")
    list_filter = ("study",)


@admin.register(Item)
class ItemAdmin(ReadOnlyAdmin):
    study_path = "session__study"
    from_the_lock_on = ("volunteer", "arm")
    list_display = ("session", "position", "purpose", "opened_at", "submitted_at")


@admin.register(ScoreRevision)
class ScoreRevisionAdmin(ReadOnlyAdmin):
    study_path = "item__session__study"
    list_display = ("item", "criterion", "value", "revision", "created_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        sealed = {f"{self.study_path}__state__in": BLINDED_STATES}
        return super().get_queryset(request).exclude(**sealed)
