"""Questions about accounts."""

from __future__ import annotations

import hashlib

from django.utils import timezone

from .models import Invitation


def token_hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def valid_invitation(token: str) -> Invitation | None:
    """The invitation of that link while it can still be accepted."""
    return (
        Invitation.objects.select_related("user", "invited_by")
        .filter(
            token_sha256=token_hash(token),
            accepted_at=None,
            revoked_at=None,
            expires_at__gt=timezone.now(),
            user__is_active=False,
        )
        .first()
    )
