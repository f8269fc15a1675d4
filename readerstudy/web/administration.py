"""The administration site: the same door as everyone's, and a second factor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.contrib.contenttypes.views import shortcut
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache

from readerstudy.accounts.models import User
from readerstudy.accounts.second_factor import came_by_strong_single_sign_on, has_own_factor


class AdministrationSite(admin.AdminSite):
    site_header = "ReaderStudy administration"
    site_title = "ReaderStudy administration"
    index_title = "Administration"

    def has_permission(self, request: HttpRequest) -> bool:
        return super().has_permission(request) and _has_second_factor(request)

    @method_decorator(never_cache)
    @method_decorator(login_not_required)
    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """No door of its own, which would go round the lockout and the second factor."""
        if not request.user.is_authenticated:
            return redirect_to_login(request.GET.get(REDIRECT_FIELD_NAME) or "/admin/")
        if self.has_permission(request):
            return redirect("admin:index")
        if not super().has_permission(request):
            raise Http404("No such page.")
        messages.warning(
            request,
            "This page needs a second factor: set one up here, then open it again.",
        )
        return redirect("mfa_index")

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Any:
        return super().admin_view(_on_site if view is shortcut else view, cacheable)

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> Any:
        return redirect("account_change_password")


def _on_site(request: HttpRequest, content_type_id: str, object_id: str) -> HttpResponse:
    """Django's own page answers an id that is none with a fault where ids are UUIDs."""
    try:
        return shortcut(request, content_type_id, object_id)
    except ValidationError:
        raise Http404("No such page.") from None


def _has_second_factor(request: HttpRequest) -> bool:
    if not settings.ADMIN_SECOND_FACTOR:
        return True
    return has_own_factor(cast(User, request.user)) or came_by_strong_single_sign_on(request)
