"""How rows that could tell an arm are shown on the administration site.

Before a study is locked nobody sees its scores, nor what its regions measure. An administrator who
reads in it sees none of its rows.
"""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from .models import BLINDED_STATES, Role, Study


class BlindedAdmin(admin.ModelAdmin):
    """Rows of a study, to be read and never changed, so far as the blinding allows."""

    study_path = "study"  # lookup from the row to its study
    from_the_lock_on: tuple[str, ...] = ()  # fields that are shown once the study is locked
    sealed_until_lock = False  # rows that nobody sees before

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        if self.sealed_until_lock:
            return rows.exclude(**{f"{self.study_path}__state__in": BLINDED_STATES})
        blinded = Study.objects.filter(
            memberships__user=request.user.pk,
            memberships__role=Role.READER,
            state__in=BLINDED_STATES,
        )
        return rows.exclude(**{f"{self.study_path}__in": blinded})

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

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
