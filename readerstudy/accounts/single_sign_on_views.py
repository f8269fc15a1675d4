"""The way to the hospital's sign-on, and where it leads back to when it let nobody in."""

from __future__ import annotations

import logging
from typing import Any, cast

from allauth.socialaccount.providers.openid_connect import views as openid_connect
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe
from requests import RequestException

log = logging.getLogger(__name__)


def doors(request: HttpRequest) -> dict[str, Any]:
    """For the sign-in page: the providers that are configured; mostly none."""
    return {"single_sign_on": settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"]}


@login_not_required
@require_safe
def enter(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Off to the provider, once it has said where its door is."""
    try:
        return cast(HttpResponse, openid_connect.login(request, provider_id))
    except RequestException as fault:
        log.warning("single sign-on failed: %s", type(fault).__name__)
        return render(
            request, "accounts/single_sign_on_fault.html", {"fault": "failed"}, status=502
        )


@login_not_required
@require_safe
def cancelled(request: HttpRequest) -> HttpResponse:
    return redirect("account_login")


@login_not_required
@require_safe
def error(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/single_sign_on_fault.html", {"fault": "failed"})
