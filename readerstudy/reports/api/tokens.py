"""Tokens of the API: shown once, kept as a hash, for one person and one study, until a date."""

from __future__ import annotations

import datetime
import hashlib
import secrets

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from readerstudy.accounts.models import User
from readerstudy.accounts.notices import tell_changed
from readerstudy.audit.services import record
from readerstudy.reports.export_models import ApiToken
from readerstudy.studies.access import has_role, require_role
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Role, Study

PREFIX = "rs_"
DAYS = (30, 90, 365)
NAME_LENGTH = 60
MOST = 20  # standing tokens of one person in one study
_ROLES = (Role.COORDINATOR, Role.STATISTICIAN)
_USE_NOTED_EVERY = datetime.timedelta(minutes=1)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _standing(user: User) -> QuerySet[ApiToken]:
    return ApiToken.objects.filter(user=user, revoked_at=None, expires_at__gt=timezone.now())


def standing_tokens(user: User, study: Study) -> list[ApiToken]:
    return list(_standing(user).filter(study=study))


def count_tokens(user: User) -> int:
    """In all studies."""
    return _standing(user).count()


@transaction.atomic
def do_create_token(
    study: Study, actor: User, name: str, days: int, *, origin: str = ""
) -> tuple[ApiToken, str]:
    """The token's row and its text, which nobody can read again. The caller has asked for the
    password; `origin` is the browser and address from which it was typed, for the mail."""
    require_role(actor, study, *_ROLES)
    name = " ".join(name.split())
    if not name:
        raise StudyError("Say what the token is for: its name stands in the list.")
    if len(name) > NAME_LENGTH:
        raise StudyError(f"The name is longer than {NAME_LENGTH} characters: shorten it.")
    if days not in DAYS:
        raise StudyError(f"A token lasts {', '.join(map(str, DAYS))} days.")
    if len(standing_tokens(actor, study)) >= MOST:
        raise StudyError(f"You have {MOST} tokens for this study: revoke one first.")
    text = PREFIX + secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        user=actor,
        study=study,
        name=name,
        sha256=_sha256(text),
        expires_at=timezone.now() + datetime.timedelta(days=days),
    )
    record(
        "reports.token.created",
        actor,
        study_id=study.pk,
        subject=token,
        new={"name": name, "expires_at": token.expires_at.isoformat()},
    )
    change = (
        f"a token “{name}” was made: until {token.expires_at:%d %B %Y} it opens the results of the "
        f"study “{study.title}” to a program"
    )
    transaction.on_commit(lambda: _tell(actor, change, origin), robust=True)
    return token, text


def _tell(user: User, change: str, origin: str) -> None:
    tell_changed(user, change, origin)


@transaction.atomic
def do_revoke_token(study: Study, actor: User, number: int) -> ApiToken:
    """One's own; administrators anybody's."""
    # Held: of two who revoke it at once, the second finds it revoked.
    token = ApiToken.objects.select_for_update().filter(study=study, pk=number).first()
    if token is None or (token.user_id != actor.pk and not actor.is_administrator):
        raise PermissionDenied("This is no token of yours.")
    if token.revoked_at is None:
        _revoke(token, actor, "")
    return token


@transaction.atomic
def revoke_tokens_of(user: User, actor: User | None, why: str) -> int:
    """All of a person's, in every study; whoever calls has authorised it. The number revoked."""
    found = list(_standing(user).select_for_update())
    for token in found:
        _revoke(token, actor, why)
    return len(found)


def _revoke(token: ApiToken, actor: User | None, why: str) -> None:
    token.revoked_at = timezone.now()
    token.save(update_fields=["revoked_at"])
    record(
        "reports.token.revoked",
        actor,
        study_id=token.study_id,
        subject=token,
        old={"name": token.name},
        why=why,
    )


def token_of(header: str) -> ApiToken | None:
    """The token of an Authorization header, if it stands and its person may still see results."""
    kind, _, text = header.partition(" ")
    if kind.lower() != "bearer" or not text.startswith(PREFIX):
        return None
    now = timezone.now()
    token = (
        ApiToken.objects.select_related("user", "study")
        .filter(sha256=_sha256(text.strip()), revoked_at=None, expires_at__gt=now)
        .first()
    )
    if token is None or not token.user.is_active:
        return None
    if not has_role(token.user, token.study, *_ROLES):
        return None
    if token.last_used_at is None or now - token.last_used_at > _USE_NOTED_EVERY:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    return token
