"""Who is locked out after repeated wrong passwords: a person from one network address, and, after
many more (`lockout_handler`), from every one.

What was typed into the e-mail field may be a password. It is never stored or logged: django-axes
counts by a keyed hash of it.
"""

from __future__ import annotations

from typing import Any

from axes.utils import reset
from django.conf import settings
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

SALT = "readerstudy.accounts.lockout"


def key_of(email: str) -> str:
    return salted_hmac(SALT, email.strip().lower(), algorithm="sha256").hexdigest()


def attempted_by(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str:
    """The key of whoever tries to sign in. allauth calls the address `email`, axes `login`."""
    named = credentials or {}
    typed = named.get("email") or named.get("login") or named.get("username")
    return key_of(str(typed or request.POST.get("login", "")))


def client_address(request: HttpRequest) -> str:
    """The caller's network address; behind a proxy, the one that the proxy saw.

    The last entry of X-Forwarded-For is the proxy's own; those before it are the caller's word.
    """
    if settings.BEHIND_PROXY:
        forwarded = str(request.META.get("HTTP_X_FORWARDED_FOR", "")).split(",")[-1].strip()
        if forwarded:
            return forwarded
    return str(request.META.get("REMOTE_ADDR", ""))


def lift(email: str) -> int:
    """Forget the wrong passwords of one person. The number of records removed."""
    return int(reset(username=key_of(email)))
