"""What a restore undoes and somebody must do again: whose images were erased, who lost access, and
which study was locked or unblinded.

From the trail as it stands before the restore, which the restore replaces: so the restore's own
event keeps these facts, and a later restore that takes that event away hands them on.
"""

from __future__ import annotations

import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from readerstudy.accounts.models import User
from readerstudy.audit.models import Event
from readerstudy.conduct.withdrawals import WITHDREW
from readerstudy.studies.models import Study

# In the trail.
RESTORED = "reports.backup.restored"
WITHDRAWN = "conduct.volunteer.withdrawn"
DISCARDED = "imaging.inbox.discarded"
Fact = dict[str, Any]

# Of images that were made since, nothing is in the backup.
_MADE = ("imaging.series.stored", "imaging.inbox.received", "variants.raw.stored")
_ERASED = {
    "imaging.series.deleted": "the images of {volunteer}, arm {arm}, of {study} were deleted",
    DISCARDED: "series {number} of the inbox of {study} was deleted",
    "variants.raw.deleted": "the raw data of {volunteer}, arm {arm}, of {study} were deleted",
}
_TOLD = {
    WITHDRAWN: "{volunteer} withdrew from {study}",
    **_ERASED,
    "studies.member.removed": "{person} is no {role} of {study} any more",
    "conduct.study.locked": "{study} was locked: its scores can be changed again",
    "reports.study.unblinded": "{study} was unblinded: people know its key, though it is blind now",
    "reports.exclusion.made": "{excluded} was excluded from the analysis of {study}",
    "accounts.user_changed": "the account {person} was changed (see its rights)",
    "accounts.password_changed": "{person} changed the password: the former one holds again",
    "accounts.password_reset": "{person} set a new password: the former one holds again",
    "accounts.invitation.accepted": "{person} accepted an invitation: until it expires its link "
    "works again",
    "accounts.second_factor_added": "{person} set up a second factor: it is gone",
    "accounts.second_factor_removed": "the second factor of {person} was removed",
    "accounts.second_factor_reset": "the second factor of {person} was made anew: former codes "
    "hold again",
    "accounts.recovery_codes_removed": "the recovery codes of {person} were removed",
}
# What an event says of whom or what it is about; nothing that people typed.
_KEPT = ("volunteer", "reader", "arm", "number", "user", "role")


def undone_since(manifest: dict[str, Any]) -> list[Fact]:
    """What was done since a backup was made and has to be done again, oldest first."""
    moment = datetime.datetime.fromisoformat(manifest["made_at"])
    since, is_descendant = _since(manifest["audit"], moment)
    made = set(since.filter(action__in=_MADE).values_list("subject_type", "subject_id"))
    # But those that waited in the inbox before: they do so again.
    for event in since.filter(action="imaging.inbox.stored"):
        if (event.subject_type, event.subject_id) not in made:
            made.discard(("imaging.series", (event.new or {}).get("series", "")))
    # A withdrawal stands for what it deleted. Why a series of the inbox went people may have typed.
    withdrawn = {
        (event.study_id, number)
        for event in since.filter(action=WITHDRAWN)
        for number in (event.new or {}).get("inbox", [])
    }
    facts: list[Fact] = []
    for event in since.filter(action__in=[*_TOLD, RESTORED]).order_by("sequence"):
        if event.action == RESTORED:
            handed_on = (event.new or {}).get("undone", [])
            facts += [f for f in handed_on if is_descendant or _at(f) > moment]
        elif event.action not in _ERASED or not (
            _is_of_withdrawal(event, withdrawn) or (event.subject_type, event.subject_id) in made
        ):
            facts.append(_fact(event))
    return facts


def _is_of_withdrawal(event: Event, withdrawn: set[tuple[Any, Any]]) -> bool:
    if event.action == DISCARDED:
        return (event.study_id, (event.old or {}).get("number")) in withdrawn
    return event.why == WITHDREW


def _since(audit: dict[str, Any], moment: datetime.datetime) -> tuple[QuerySet[Event], bool]:
    """Events that are not in the backup, and whether this trail goes on from the backup's own: then
    by its place in the trail, else (another restore lies between) by the clock."""
    last = Event.objects.filter(sequence=audit["count"], hash=audit["head"])
    if last.exists():
        return Event.objects.filter(sequence__gt=audit["count"]), True
    return Event.objects.filter(at__gt=moment), False


def _fact(event: Event) -> Fact:
    said = {**(event.old or {}), **(event.new or {})}
    if event.subject_type == User._meta.label_lower:
        said["user"] = event.subject_id
    return {
        "sequence": event.sequence,
        "at": event.at.isoformat(),
        "action": event.action,
        "study": str(event.study_id) if event.study_id else None,
        **{name: said[name] for name in _KEPT if name in said},
    }


def _at(fact: Fact) -> datetime.datetime:
    return datetime.datetime.fromisoformat(fact["at"])


def as_lines(facts: list[Fact]) -> list[str]:
    """One for each, with the names of studies and people as they are known now."""
    if not facts:
        return []
    studies = {str(study.pk): str(study) for study in Study.objects.all()}
    people = {str(pk): email for pk, email in User.objects.values_list("pk", "email")}
    lines = []
    for fact in facts:
        who = "volunteer" if "volunteer" in fact else "reader"
        names = {
            **dict.fromkeys(_KEPT, ""),
            **fact,
            "study": studies.get(str(fact["study"]), "a study that is gone"),
            "person": people.get(str(fact.get("user")), "an account that is gone"),
            "excluded": f"the {who} {fact.get(who)}",
        }
        when = f"{timezone.localtime(_at(fact)):%Y-%m-%d %H:%M}"
        lines.append(f"{when}: {_TOLD.get(fact['action'], '{action}').format(**names)}")
    return lines
