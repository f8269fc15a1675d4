"""Where a person is signed in, for how long, and ending it from elsewhere.

Two limits end a sign-in: one without a click (`SESSION_IDLE_SECONDS`) and one whatever is clicked
(`SESSION_COOKIE_AGE`). Both are held against the server's rows, never against a cookie's date.
"""

from __future__ import annotations

import datetime
import re
import time
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.models import Session
from django.db import transaction
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from readerstudy.audit.services import record

from .errors import AccountError
from .hooks import revoke_keys
from .lockout import client_address
from .models import SignIn, User

# Survives a new session key (a changed password), which must not start the clock again.
STARTED = "signed_in_at"
# A row is written at most so often: images are asked for a hundred times a minute.
NOTED_EVERY = datetime.timedelta(seconds=60)
_BROWSERS = (
    ("Edge", r"Edg/"),
    ("Opera", r"OPR/"),
    ("Firefox", r"Firefox/"),
    ("Chrome", r"Chrom(e|ium)/"),
    ("Safari", r"Safari/"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iOS", "iPhone|iPad"),
    ("Windows", "Windows"),
    ("macOS", "Mac OS X|Macintosh"),
    ("Linux", "Linux|X11"),
)


@receiver(user_logged_in, dispatch_uid="accounts.sign_in_started")
def _started(request: HttpRequest | None, **_: object) -> None:
    if request is not None and hasattr(request, "session"):
        request.session[STARTED] = time.time()


def sign_in_of(request: HttpRequest, user: User) -> SignIn:
    """The row of this browser's sign-in, made on its first request."""
    key = str(request.session.session_key)
    found = SignIn.objects.filter(session_key=key, user=user).first()
    if found is not None:
        return found
    now = timezone.now()
    started = request.session.get(STARTED)
    if started is None:
        request.session[STARTED] = started = now.timestamp()
    SignIn.objects.filter(
        seen_at__lt=now - datetime.timedelta(seconds=settings.SESSION_COOKIE_AGE)
    ).delete()
    Session.objects.filter(expire_date__lt=now).delete()
    made, _ = SignIn.objects.get_or_create(
        session_key=key,
        defaults={
            "user": user,
            "started_at": datetime.datetime.fromtimestamp(float(started), datetime.UTC),
            "seen_at": now,
            "address": client_address(request)[:45],
            "browser": browser_named(request.headers.get("User-Agent", "")),
        },
    )
    return made


def origin_of(request: HttpRequest) -> str:
    """ "Firefox on Windows, 10.0.0.7": for the mail to whoever's account was changed."""
    browser = browser_named(request.headers.get("User-Agent", ""))
    return ", ".join(part for part in (browser, client_address(request)) if part)


def browser_named(agent: str) -> str:
    """ "Firefox on Windows": enough to know one's own again, and no more than that is kept."""
    browser = next((name for name, mark in _BROWSERS if re.search(mark, agent)), "")
    system = next((name for name, mark in _SYSTEMS if re.search(mark, agent)), "")
    return " on ".join(part for part in (browser or "A program" * (not system), system) if part)


def limit_reached(sign_in: SignIn, now: datetime.datetime) -> str:
    """ "idle", "absolute", or empty while the sign-in holds."""
    if now - sign_in.seen_at > datetime.timedelta(seconds=settings.SESSION_IDLE_SECONDS):
        return "idle"
    if now - sign_in.started_at > datetime.timedelta(seconds=settings.SESSION_COOKIE_AGE):
        return "absolute"
    return ""


def note_seen(sign_in: SignIn, now: datetime.datetime) -> bool:
    """Write down that the person is there. True about once a minute, when it was written."""
    if now - sign_in.seen_at < NOTED_EVERY:
        return False
    SignIn.objects.filter(pk=sign_in.pk).update(seen_at=now)
    return True


@dataclass(frozen=True)
class Ended:
    browsers: int
    tokens: int  # of programs


@transaction.atomic
def do_time_out(sign_in: SignIn, limit: str) -> None:
    SignIn.objects.filter(pk=sign_in.pk).delete()
    record("accounts.sign_in.timed_out", None, subject=sign_in.user, new={"limit": limit})


def sign_ins_of(user: User) -> list[SignIn]:
    """Those that still open the account, the newest first."""
    now = timezone.now()
    rows = list(SignIn.objects.filter(user=user).order_by("-started_at", "-pk"))
    living = set(
        Session.objects.filter(
            session_key__in=[row.session_key for row in rows], expire_date__gt=now
        ).values_list("session_key", flat=True)
    )
    return [row for row in rows if row.session_key in living and not limit_reached(row, now)]


@transaction.atomic
def do_end_sign_in(actor: User, number: int) -> SignIn:
    """End one of one's own; what that browser asks for next leads to the sign-in page."""
    found = SignIn.objects.filter(pk=number, user=actor).first()
    if found is None:
        raise AccountError("That browser is signed out already.")
    SignIn.objects.filter(pk=found.pk).delete()
    Session.objects.filter(session_key=found.session_key).delete()
    record("accounts.sign_in.ended", actor, subject=actor, old={"browser": found.browser})
    return found


@transaction.atomic
def do_end_sign_ins(
    actor: User | None, user: User, but: str = "", why: str = "signed out everywhere"
) -> Ended:
    """End all of a person's, except the one of session key `but`, and revoke the keys that programs
    have: one made in a browser that was left open would go on opening what it opened."""
    now = timezone.now()
    keys = _session_keys_of(user, now) - {but}
    rows = SignIn.objects.filter(user=user).exclude(session_key=but)
    over = {row.session_key for row in rows if limit_reached(row, now)}
    browsers = len(keys - over)
    Session.objects.filter(session_key__in=keys).delete()
    rows.delete()
    if browsers:
        record("accounts.sign_in.ended", actor, subject=user, old={"browsers": browsers}, why=why)
    return Ended(browsers, revoke_keys(user, actor, why))


def _session_keys_of(user: User, now: datetime.datetime) -> set[str]:
    """Also of a browser that has asked for nothing since the password: it has no row yet."""
    sessions: Any = import_module(settings.SESSION_ENGINE).SessionStore()
    living = Session.objects.filter(expire_date__gt=now).values_list("session_key", "session_data")
    return {key for key, data in living if sessions.decode(data).get(SESSION_KEY) == str(user.pk)}
