"""Of whom a second factor is demanded (`SECOND_FACTOR_FOR`), and whether somebody still owes one.

Roles are held one floor up: rooms that know them register what a person is.
"""

from __future__ import annotations

from collections.abc import Callable

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.http import HttpRequest

from .models import User

OWN_FACTORS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
KINDS = ("administrators", "coordinators", "statisticians", "readers")
_roles: list[Callable[[User], set[str]]] = []


def register(roles: Callable[[User], set[str]]) -> Callable[[User], set[str]]:
    """Add a source of a person's kinds, out of `KINDS`."""
    if roles not in _roles:
        _roles.append(roles)
    return roles


def has_own_factor(user: User) -> bool:
    """A recovery code alone is none: it stands in for a factor that was lost."""
    return Authenticator.objects.filter(user=user, type__in=OWN_FACTORS).exists()


def owes_second_factor(request: HttpRequest, user: User) -> bool:
    demanded = set(settings.SECOND_FACTOR_FOR)
    if not demanded:
        return False
    held = {"administrators"} if user.is_staff or user.is_superuser else set()
    if not demanded & held and not any(demanded & roles(user) for roles in _roles):
        return False
    return not has_own_factor(user) and not came_by_strong_single_sign_on(request)


def came_by_strong_single_sign_on(request: HttpRequest) -> bool:
    """Signed in through the hospital's own sign-on, which is configured to ask for two factors."""
    if not settings.OIDC_SECOND_FACTOR:
        return False
    records = request.session.get("account_authentication_methods", [])
    return any(record.get("method") == "socialaccount" for record in records)
