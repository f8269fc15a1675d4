"""Signing a record: who, under what printed name, when, with what meaning, over which content.

The content stands as the SHA-256 of the record as it was shown. The caller has asked for the
password again (`confirming`) and has authorised the act.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import Any

from django.db import models, transaction
from django.utils import timezone

from readerstudy.audit.services import record

from .errors import AccountError
from .models import Signature, User


def sha256_of_record(content: Any) -> str:
    """Of JSON-ready content in its one canonical form."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def signatures_of(subject: models.Model) -> list[Signature]:
    """All signatures under a record, the newest first; of a later one, the earlier ones stay."""
    return list(
        Signature.objects.filter(
            subject_type=subject._meta.label_lower, subject_id=str(subject.pk)
        ).order_by("-signed_at", "-pk")
    )


@transaction.atomic
def do_sign(
    actor: User, subject: models.Model, sha256: str, meaning: str, *, study_id: uuid.UUID | None
) -> Signature:
    name = actor.name.strip()
    if not name:
        raise AccountError("Your account has no name to sign with: enter it under My account.")
    signature = Signature.objects.create(
        user=actor,
        name=name,
        meaning=meaning,
        subject_type=subject._meta.label_lower,
        subject_id=str(subject.pk),
        record_sha256=sha256,
        signed_at=timezone.now(),
    )
    record(
        f"{subject._meta.app_label}.{subject._meta.model_name}.signed",
        actor,
        study_id=study_id,
        subject=subject,
        new={"name": name, "meaning": meaning, "record_sha256": sha256},
    )
    return signature
