"""The trail can be read on the administration site, by administrators, and changed by nobody."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from . import visibility
from .models import Event


@admin.register(Event)
class EventAdmin(admin.ModelAdmin):
    list_display = ["sequence", "at", "actor", "action", "subject_type", "subject_id"]
    list_filter = ["action"]
    search_fields = ["action", "subject_id", "actor__email"]
    list_select_related = ["actor"]
    ordering = ["-sequence"]
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        return visibility.readable(super().get_queryset(request))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Event | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Event | None = None) -> bool:
        return False
