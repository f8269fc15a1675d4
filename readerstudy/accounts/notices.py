"""A mail to the person whose way to sign in was changed, who may not be the one who changed it."""

from __future__ import annotations

import logging
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import send_mail
from django.utils import timezone

from .models import User

log = logging.getLogger(__name__)
SUBJECT = "Your ReaderStudy account was changed"
# By allauth's names of these mails.
CHANGES = {
    "account/email/password_changed": "the password was changed",
    "account/email/password_set": "a password was set",
    "account/email/password_reset": "the password was set anew by a link sent to this address",
    "mfa/email/totp_activated": "an authenticator app was set up",
    "mfa/email/totp_deactivated": "the authenticator app was removed",
    "mfa/email/recovery_codes_generated": "new recovery codes were made; earlier ones are void",
    "mfa/email/webauthn_added": "a passkey was added",
    "mfa/email/webauthn_removed": "a passkey was removed",
    "socialaccount/email/account_connected": "single sign-on was connected with it",
    "socialaccount/email/account_disconnected": "single sign-on was disconnected from it",
}
OTHER = "a way to sign in was changed"
REMOVED_BY_AN_ADMINISTRATOR = "an administrator removed the second factor"
TEXT = """\
On your ReaderStudy account {change}.

When: {at:%d %B %Y, %H:%M} UTC{origin}

If it was you, there is nothing to do. If you know nothing of it, tell an administrator at once, who
can end all your sign-ins, and set a new password: {site}
"""


def tell_changed(user: User, change: str, origin: str = "") -> bool:
    """Whether it could be sent: a mail server that is away undoes no change."""
    text = TEXT.format(
        change=change,
        at=timezone.now(),
        origin=f"\nFrom: {origin}" if origin else "",
        site=settings.SITE_URL,
    )
    try:
        return bool(send_mail(SUBJECT, text, None, [user.email]))
    except (SMTPException, OSError) as fault:
        log.warning("a notice of a changed account was not sent: %s", type(fault).__name__)
        return False
