"""What a study lets in: dates, the form of its codes, who may send over the network."""

from __future__ import annotations

import re
from typing import Any

from django.db import transaction

from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.studies.access import require_role
from readerstudy.studies.models import Role, Study
from readerstudy.studies.services import check_is_draft, lock_study

from .errors import ImagingError
from .models import ImagingRules

TITLE = re.compile(r"[A-Za-z0-9_-]{1,16}")  # of PS3.5's AE characters, those without surprises
MAX_SENDERS = 20
FIELDS = ("dates", "volunteer_pattern", "receiver_title", "senders")


def rules_of(study: Study) -> ImagingRules:
    """The study's rules; the defaults, not saved, where nobody has set any."""
    return ImagingRules.objects.filter(study=study).first() or ImagingRules(study=study)


def check_change_rules(study: Study, actor: User | None, values: dict[str, Any]) -> None:
    require_role(actor, study, Role.COORDINATOR)
    check_is_draft(study)
    if values["dates"] not in ImagingRules.Dates.values:
        raise ImagingError("Dates are dropped or shifted.")
    try:
        re.compile(values["volunteer_pattern"])
    except (re.error, RecursionError):
        raise ImagingError(
            "The pattern of the volunteers' codes is no regular expression; an example is V\\d{2}."
        ) from None
    title, senders = values["receiver_title"], values["senders"]
    for name in [title, *senders] if title else senders:
        if not TITLE.fullmatch(name):
            raise ImagingError(
                f"“{name[:40]}” is no AE title: up to 16 letters, digits, hyphens and underscores."
            )
    if len(senders) > MAX_SENDERS:
        raise ImagingError(f"Up to {MAX_SENDERS} senders can be allowed.")
    if bool(title) != bool(senders):
        raise ImagingError(
            "The receiver needs both: a title for this study and at least one sender's title."
        )
    if title and (
        ImagingRules.objects.exclude(study=study).filter(receiver_title__iexact=title).exists()
    ):
        raise ImagingError(f"Another study already receives as “{title}”: choose another title.")


@transaction.atomic
def do_change_rules(study: Study, actor: User | None, values: dict[str, Any]) -> ImagingRules:
    """Set the rules of a draft; `values` holds every one of FIELDS."""
    study = lock_study(study)
    check_change_rules(study, actor, values)
    rules = rules_of(study)
    old = {name: getattr(rules, name) for name in FIELDS}
    for name in FIELDS:
        setattr(rules, name, values[name])
    if {name: getattr(rules, name) for name in FIELDS} != old:
        rules.save()
        record(
            "imaging.rules.changed",
            actor,
            study_id=study.pk,
            subject=rules,
            old=old,
            new={name: values[name] for name in FIELDS},
        )
    return rules
