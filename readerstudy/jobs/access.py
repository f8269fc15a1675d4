"""Who may see how a job is doing. The floor above knows studies and roles, and registers a check.

With no check registered nobody may.
"""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

from .models import Job

AccessCheck = Callable[[AbstractBaseUser | AnonymousUser, Job], bool]
_checks: list[AccessCheck] = []


def register(check: AccessCheck) -> AccessCheck:
    """Add a check; a job is shown when any of them says yes. Usable as a decorator."""
    if check not in _checks:
        _checks.append(check)
    return check


def may_see(user: AbstractBaseUser | AnonymousUser, job: Job) -> bool:
    return bool(user.is_authenticated) and any(check(user, job) for check in _checks)
