"""Regions and measurements in the administration site: to be read, never to be changed.

An administrator who reads in a study that is not locked sees none of its rows: they name the arms.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from readerstudy.studies.models import Role, Study

from .models import Measurement, Region


class ReadOnlyAdmin(admin.ModelAdmin):
    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        blinded = Study.objects.filter(
            memberships__user=request.user.pk,
            memberships__role=Role.READER,
            state__in=[Study.State.DRAFT, Study.State.READING],
        )
        return super().get_queryset(request).exclude(volunteer__study__in=blinded)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Region)
class RegionAdmin(ReadOnlyAdmin):
    list_display = ("volunteer", "tissue", "revision", "slice_index", "placed_by", "created_at")
    list_filter = ("volunteer__study",)


@admin.register(Measurement)
class MeasurementAdmin(ReadOnlyAdmin):
    list_display = ("volunteer", "tissue", "arm", "revision", "origin", "n_pixels", "mean", "sd")
    list_filter = ("volunteer__study", "origin")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Before the lock nobody reads an arm's means here; placing regions shows its own."""
        return (
            super()
            .get_queryset(request)
            .exclude(volunteer__study__state__in=[Study.State.DRAFT, Study.State.READING])
        )
