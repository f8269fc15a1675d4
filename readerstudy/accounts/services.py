"""Inviting people and looking after their accounts. The caller has authorised the act."""

from __future__ import annotations

import datetime
import logging
import secrets
from functools import partial
from smtplib import SMTPException
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import send_mail
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from readerstudy.audit.services import record

from . import lockout
from .errors import AccountError
from .models import Invitation, User
from .notices import REMOVED_BY_AN_ADMINISTRATOR, tell_changed
from .selectors import token_hash, valid_invitation
from .sign_ins import do_end_sign_ins

log = logging.getLogger(__name__)


def check_invite_user(email: str) -> User | None:
    """The invited person's row, if they have one. AccountError if they cannot be invited."""
    try:
        validate_email(email)
    except ValidationError:
        raise AccountError(f"“{email}” is not an e-mail address.") from None
    user = User.objects.filter(email=email).first()
    if user is None:
        return None
    if user.is_active:
        raise AccountError(f"{email} already has an account.")
    if user.invitations.filter(accepted_at__isnull=False).exists() or user.has_usable_password():
        raise AccountError(
            f"The account of {email} was switched off; an administrator can switch it on again."
        )
    return user


@transaction.atomic
def do_invite_user(actor: User | None, email: str, name: str = "") -> tuple[User, str]:
    """Invite a person: an inactive account and the link that lets them in, once, within days.

    Only the link's hash is stored, so it can be shown now and never again. It is mailed too. An
    older invitation of the same person stops working.
    """
    email = email.strip().lower()
    user = check_invite_user(email)
    if user is None:
        try:
            with transaction.atomic():
                user = User.objects.create_user(email, None, name=name.strip(), is_active=False)
        except IntegrityError:  # invited from another study since we looked
            user = check_invite_user(email)
            if user is None:
                raise
    if name.strip() and user.name != name.strip():
        user.name = name.strip()
        user.save(update_fields=["name"])
    now = timezone.now()
    Invitation.objects.filter(user=user, accepted_at=None, revoked_at=None).update(revoked_at=now)
    token = secrets.token_urlsafe(32)
    invitation = Invitation.objects.create(
        user=user,
        token_sha256=token_hash(token),
        invited_by=actor,
        expires_at=now + datetime.timedelta(days=settings.INVITATION_DAYS),
    )
    record("accounts.invitation.sent", actor, subject=invitation, new={"user": user.pk})
    link = settings.SITE_URL.rstrip("/") + reverse("account_invitation", args=[token])
    transaction.on_commit(lambda: _mail_invitation(user, actor, link), robust=True)
    return user, link


def _mail_invitation(user: User, actor: User | None, link: str) -> None:
    text = render_to_string(
        "accounts/invitation_mail.txt",
        {"user": user, "inviter": actor, "link": link, "days": settings.INVITATION_DAYS},
    )
    try:
        send_mail("Your account on ReaderStudy", text, None, [user.email])
    except (SMTPException, OSError) as error:
        # The link was shown to the inviter: a mail server that is away must not undo the act.
        log.warning("an invitation was not mailed: %s", type(error).__name__)


@transaction.atomic
def do_accept_invitation(token: str, name: str, password: str) -> User:
    """Set the name and the password of an invited person and switch the account on.

    The password has been validated by the form. AccountError if the link no longer holds.
    """
    invitation = valid_invitation(token)
    if invitation is not None:
        # Two clicks at once: the second waits here, then finds it accepted.
        Invitation.objects.select_for_update().get(pk=invitation.pk)
        invitation = valid_invitation(token)
    if invitation is None:
        raise AccountError("This link is no longer valid. Ask for a new invitation.")
    user = invitation.user
    user.name = name.strip()
    user.is_active = True
    user.set_password(password)
    user.save()
    invitation.accepted_at = timezone.now()
    invitation.save(update_fields=["accepted_at"])
    confirm_address(user)
    record("accounts.invitation.accepted", user, subject=invitation, new={"user": user.pk})
    return user


def confirm_address(user: User) -> None:
    """Let allauth know one address of the person and no former one."""
    EmailAddress.objects.filter(user=user).exclude(email=user.email).delete()
    EmailAddress.objects.update_or_create(
        user=user, email=user.email, defaults={"verified": True, "primary": True}
    )


@transaction.atomic
def do_change_name(user: User, name: str) -> None:
    """A person changes their own name."""
    old, new = user.name, name.strip()
    if old == new:
        return
    user.name = new
    user.save(update_fields=["name"])
    record("accounts.name_changed", user, subject=user, old={"name": old}, new={"name": new})


@transaction.atomic
def do_create_administrator(email: str, password: str | None = None, **fields: Any) -> User:
    """An account with every right, made by whoever has the server's command line: by nobody here.

    The first of a site is made so (`manage.py createsuperuser`); the trail begins with it.
    """
    fields.update(is_staff=True, is_superuser=True)
    user = User.objects.create_user(email, password, **fields)
    rights = {name: getattr(user, name) for name in ("is_active", "is_staff", "is_superuser")}
    record("accounts.administrator_created", None, subject=user, new=rights)
    return user


ADMINISTERED = ("email", "name", "is_active", "is_staff", "is_superuser")


@transaction.atomic
def do_administer_user(actor: User | None, user: User) -> None:
    """Save what an administrator changed on an account."""
    before = User.objects.select_for_update().get(pk=user.pk)
    user.email = user.email.lower()
    changed = [name for name in ADMINISTERED if getattr(before, name) != getattr(user, name)]
    if not changed:
        return
    user.save(update_fields=changed)
    if "email" in changed:
        confirm_address(user)
    if "is_active" in changed and not user.is_active:
        # Else a browser that was left signed in would be so again once the account is switched on.
        # Before the trail is held, for which who times out waits with the same rows in hand.
        do_end_sign_ins(actor, user, why="the account was switched off")
    record(
        "accounts.user_changed",
        actor,
        subject=user,
        old={name: getattr(before, name) for name in changed},
        new={name: getattr(user, name) for name in changed},
    )


@transaction.atomic
def do_remove_second_factor(actor: User | None, user: User) -> bool:
    """For a person who lost the telephone: they sign in by password and set up a new one."""
    removed, _ = Authenticator.objects.filter(user=user).delete()
    if removed:
        record("accounts.second_factor_removed", actor, subject=user)
        transaction.on_commit(partial(tell_changed, user, REMOVED_BY_AN_ADMINISTRATOR))
    return bool(removed)


@transaction.atomic
def do_lift_lockout(actor: User | None, user: User) -> bool:
    removed = lockout.lift(user.email)
    if removed:
        record("accounts.lockout_lifted", actor, subject=user)
    return bool(removed)
