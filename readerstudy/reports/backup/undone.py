"""What a restore undoes and somebody must do again: whose images were erased, who lost access."""

from __future__ import annotations

import datetime

from django.utils import timezone

from readerstudy.accounts.models import User
from readerstudy.audit.models import Event
from readerstudy.studies.models import Study

_WITHDRAWN = "conduct.volunteer.withdrawn"
_LEFT = "studies.member.removed"
_OF_ACCOUNTS = {
    "accounts.user_changed": "the account {} was changed (see its rights)",
    "accounts.second_factor_removed": "the second factor of {} was removed",
}


def undone_since(moment: datetime.datetime) -> list[str]:
    """A line for each, oldest first, from the trail as it stands before the restore."""
    found = Event.objects.filter(at__gt=moment, action__in=[_WITHDRAWN, _LEFT, *_OF_ACCOUNTS])
    events = list(found.order_by("sequence"))
    if not events:
        return []
    studies = {study.pk: str(study) for study in Study.objects.all()}
    people = {str(pk): email for pk, email in User.objects.values_list("pk", "email")}
    lines = []
    for event in events:
        when = f"{timezone.localtime(event.at):%Y-%m-%d %H:%M}"
        old, new = event.old or {}, event.new or {}
        study = studies.get(event.study_id) if event.study_id else None
        study = study or "a study that is gone"
        if event.action == _WITHDRAWN:
            lines.append(f"{when}: {new.get('volunteer')} withdrew from {study}")
        elif event.action == _LEFT:
            person = people.get(str(old.get("user")), "an account that is gone")
            lines.append(f"{when}: {person} is no {old.get('role')} of {study} any more")
        else:
            person = people.get(event.subject_id, "an account that is gone")
            lines.append(f"{when}: {_OF_ACCOUNTS[event.action].format(person)}")
    return lines
