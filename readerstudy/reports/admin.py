"""Tokens of the API on the administration site: whose stand, and revoking them."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from readerstudy.accounts.models import User

from .api.tokens import do_revoke_token
from .export_models import ApiToken


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin):
    """To be read and revoked; a token is made by its person, who types the password."""

    list_display = (
        *("name", "user", "study", "created_at", "expires_at", "last_used_at", "revoked_at"),
    )
    list_filter = ("study", ("revoked_at", admin.EmptyFieldListFilter))
    list_select_related = ("user", "study")
    search_fields = ("name", "user__email", "user__name")
    exclude = ("sha256",)
    actions = ("revoke",)

    @admin.action(description="Revoke")
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        for token in queryset.select_related("user", "study"):
            if token.revoked_at is not None:
                self.message_user(request, f"“{token.name}” of {token.user} was revoked before.")
                continue
            do_revoke_token(token.study, cast(User, request.user), token.pk)
            self.message_user(request, f"“{token.name}” of {token.user} is revoked.")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
