"""django-axes' lockout with a second, wider limit: one account, from all addresses together.

Whoever changes address after every few guesses never meets the first limit. The failures of the
last hour are counted in axes' failure log, which holds the keyed hash of what was typed.
"""

from __future__ import annotations

import datetime
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.helpers import get_client_username, get_credentials, get_failure_limit
from axes.models import AccessFailureLog
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest
from django.utils import timezone

SPAN = datetime.timedelta(hours=1)


class AccountWideHandler(AxesDatabaseHandler):
    def get_failures(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """The failures from this address, or the limit itself once the account is locked."""
        failures = int(super().get_failures(request, credentials))
        if self._is_locked_everywhere(get_client_username(request, credentials)):
            return max(failures, int(get_failure_limit(request, credentials)))
        return failures

    def _is_locked_everywhere(self, key: str | None) -> bool:
        # Attempts during a lockout do not count: one locked address must not lock all others, and
        # knocking must not prolong the lock.
        failures = AccessFailureLog.objects.filter(
            username=key, locked_out=False, attempt_time__gt=timezone.now() - SPAN
        )
        return failures.count() >= settings.LOCKOUT_ACCOUNT_AFTER

    def user_login_failed(
        self,
        sender: Any,
        credentials: dict[str, Any],
        request: HttpRequest | None = None,
        **kwargs: Any,
    ) -> None:
        AccessFailureLog.objects.filter(attempt_time__lte=timezone.now() - SPAN).delete()
        super().user_login_failed(sender, credentials, request, **kwargs)

    def user_logged_in(
        self, sender: Any, request: HttpRequest, user: AbstractBaseUser, **kwargs: Any
    ) -> None:
        super().user_logged_in(sender, request, user, **kwargs)
        credentials = get_credentials(user.get_username())
        key = get_client_username(request, credentials)
        AccessFailureLog.objects.filter(username=key).delete()

    def reset_attempts(
        self,
        *,
        ip_address: str | None = None,
        username: str | None = None,
        ip_or_username: bool = False,
    ) -> int:
        removed = super().reset_attempts(
            ip_address=ip_address, username=username, ip_or_username=ip_or_username
        )
        logged = AccessFailureLog.objects.filter(username=username) if username else None
        return int(removed) + (logged.delete()[0] if logged is not None else 0)
