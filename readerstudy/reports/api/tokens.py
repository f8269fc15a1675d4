"""Tokens of the API: shown once, kept as a hash, for one person and one study, until a date."""

from __future__ import annotations

import datetime
import hashlib
import secrets

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.reports.export_models import ApiToken
from readerstudy.studies.access import has_role, require_role
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Role, Study

PREFIX = "rs_"
DAYS = (30, 90, 365)
MOST = 20  # standing tokens of one person in one study
_ROLES = (Role.COORDINATOR, Role.STATISTICIAN)
_USE_NOTED_EVERY = datetime.timedelta(minutes=1)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def standing_tokens(user: User, study: Study) -> list[ApiToken]:
    return list(
        ApiToken.objects.filter(
            user=user, study=study, revoked_at=None, expires_at__gt=timezone.now()
        )
    )


@transaction.atomic
def do_create_token(study: Study, actor: User, name: str, days: int) -> tuple[ApiToken, str]:
    """The token's row and its text, which nobody can read again."""
    require_role(actor, study, *_ROLES)
    name = " ".join(name.split())
    if not name:
        raise StudyError("Say what the token is for: its name stands in the list.")
    if len(name) > 60:
        raise StudyError("The name is longer than 60 characters: shorten it.")
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
    return token, text


@transaction.atomic
def do_revoke_token(study: Study, actor: User, number: int) -> ApiToken:
    """One's own; administrators anybody's."""
    token = ApiToken.objects.filter(study=study, pk=number).first()
    if token is None or (token.user_id != actor.pk and not actor.is_administrator):
        raise PermissionDenied("This is no token of yours.")
    if token.revoked_at is None:
        token.revoked_at = timezone.now()
        token.save(update_fields=["revoked_at"])
        record(
            "reports.token.revoked",
            actor,
            study_id=study.pk,
            subject=token,
            old={"name": token.name},
        )
    return token


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
