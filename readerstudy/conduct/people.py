"""Who was scanned and who reads: what the first rows of the paper's first table need."""

from __future__ import annotations

import datetime
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.imaging.errors import ImagingError
from readerstudy.imaging.models import InboxSeries, Volunteer
from readerstudy.imaging.services import do_place_volunteers
from readerstudy.studies.access import Reach, require_reach, require_role, require_site
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Membership, Role, Site, Study
from readerstudy.studies.selectors import reader_memberships, sites_of
from readerstudy.studies.services import check_is_draft, lock_study

from .models import Participant, ReaderExperience, Withdrawal

FIELDS = ("age_years", "sex", "ethics_reference", "consented_on")


@dataclass(frozen=True)
class VolunteerLine:
    code: str
    participant: Participant  # unsaved where nothing was entered
    is_withdrawn: bool
    site: Site | None = None
    is_empty: bool = False  # nothing was stored: the code can be taken away


@dataclass(frozen=True)
class ReaderLine:
    membership: Membership
    years: int | None


def volunteer_lines(study: Study, reach: Reach | None = None) -> list[VolunteerLine]:
    """`reach`: of whoever looks; a site coordinator sees the site's volunteers alone."""
    reach = reach or Reach(study)
    withdrawn = set(Withdrawal.objects.filter(study=study).values_list("volunteer_code", flat=True))
    empty = empty_codes(study)
    stored = {p.volunteer_id: p for p in Participant.objects.filter(volunteer__study=study)}
    return [
        VolunteerLine(
            volunteer.code,
            stored.get(volunteer.pk) or Participant(volunteer=volunteer),
            volunteer.code in withdrawn and not study.is_draft,
            volunteer.site,
            volunteer.code in empty,
        )
        for volunteer in Volunteer.objects.filter(study=study, **reach.within()).select_related(
            "site"
        )
    ]


@dataclass(frozen=True)
class WithdrawalLine:
    withdrawal: Withdrawal
    # What still waits under the same code and was left: for whoever reaches the whole study.
    left: list[InboxSeries]


def withdrawal_lines(reach: Reach, volunteers: Sequence[VolunteerLine]) -> list[WithdrawalLine]:
    """A site coordinator sees those of the site's volunteers alone."""
    found = Withdrawal.objects.filter(study=reach.study).select_related("withdrawn_by")
    if reach.site is not None:
        own = found.filter(volunteer_code__in=[line.code for line in volunteers])
        return [WithdrawalLine(one, []) for one in own]
    waiting = {str(row.pk): row for row in InboxSeries.objects.filter(study=reach.study)}
    return [
        WithdrawalLine(one, [waiting[key] for key in one.left_waiting if key in waiting])
        for one in found
    ]


def reader_lines(study: Study) -> list[ReaderLine]:
    readers = reader_memberships(study)
    years = dict(
        ReaderExperience.objects.filter(membership__in=readers).values_list("membership", "years")
    )
    return [ReaderLine(member, years.get(member.pk)) for member in readers]


def summary(volunteers: Sequence[VolunteerLine], readers: Sequence[ReaderLine]) -> list[str]:
    """The rows of a paper's first table, as sentences."""
    taking_part = [line.participant for line in volunteers if not line.is_withdrawn]
    said = [f"{len(taking_part)} volunteer{'s' if len(taking_part) != 1 else ''}"]
    ages = [p.age_years for p in taking_part if p.age_years is not None]
    if ages:
        spread = f" ± {statistics.stdev(ages):.1f}" if len(ages) > 1 else ""
        known = "" if len(ages) == len(taking_part) else f" ({len(ages)} of {len(taking_part)})"
        said.append(
            f"age {statistics.fmean(ages):.1f}{spread} years, range {min(ages)}–{max(ages)}{known}"
        )
    sexes = Counter(p.sex for p in taking_part if p.sex)
    if sexes:
        said.append(", ".join(f"{n} {Participant.Sex(s).label.lower()}" for s, n in sexes.items()))
    years = sorted(line.years for line in readers if line.years is not None)
    if years:
        listed = ", ".join(str(value) for value in years)
        said.append(
            f"{len(readers)} reader{'s' if len(readers) != 1 else ''}, {listed} years of experience"
        )
    return said


@transaction.atomic
def do_describe_volunteers(
    study: Study, actor: User | None, entries: Mapping[str, Mapping[str, Any]]
) -> int:
    """Store what is known of volunteers: {code: {field: value}}; all or none. How many changed.

    `site` among the fields is a code of the study's sites, or empty; coordinators of the whole
    study alone say it.

    The trail says which fields changed, and not to what: age and sex are no matter of a trail that
    outlives a withdrawal.
    """
    reach = require_reach(actor, study)
    study = lock_study(study)
    volunteers = {v.code: v for v in Volunteer.objects.filter(study=study, **reach.within())}
    gone = {line.code for line in volunteer_lines(study, reach) if line.is_withdrawn}
    faults: list[str] = []
    changed = 0
    for code, values in entries.items():
        if code not in volunteers or code in gone:
            faults.append(f"{code} is no volunteer of this study.")
            continue
        participant = Participant.objects.filter(volunteer=volunteers[code]).first() or Participant(
            volunteer=volunteers[code]
        )
        different = [f for f in FIELDS if f in values and getattr(participant, f) != values[f]]
        if not different:
            continue
        for name in different:
            setattr(participant, name, values[name])
        faults += [f"{code}: {text}" for text in _faults(participant)]
        if faults:
            continue
        participant.save()
        changed += 1
        record(
            "conduct.volunteer.described",
            actor,
            study_id=study.pk,
            subject=volunteers[code],
            new={"volunteer": code, "fields": different},
        )
    if faults:
        raise StudyError(*faults)
    return changed + _place(study, actor, entries)


def _place(study: Study, actor: User | None, entries: Mapping[str, Mapping[str, Any]]) -> int:
    wanted = {code: str(values["site"]) for code, values in entries.items() if "site" in values}
    if not wanted:
        return 0
    sites: dict[str, Site | None] = {"": None, **{site.code: site for site in sites_of(study)}}
    unknown = sorted(set(wanted.values()) - set(sites))
    if unknown:
        raise StudyError(f"The study has no site {', '.join(unknown)}.")
    try:
        placed = {code: sites[site] for code, site in wanted.items()}
        return do_place_volunteers(study, actor, placed)
    except ImagingError as error:
        raise StudyError(str(error)) from None


def _faults(participant: Participant) -> list[str]:
    found = []
    try:
        participant.full_clean(exclude={"volunteer"}, validate_unique=False)
    except ValidationError as error:
        found = [
            f"{name.replace('_', ' ')}: {text}"
            for name, texts in error.message_dict.items()
            for text in texts
        ]
    consented = participant.consented_on
    if isinstance(consented, datetime.date) and consented > timezone.localdate():
        found.append("the date of consent lies in the future.")
    return found


def empty_codes(study: Study) -> set[str]:
    """Volunteers of whom nothing was ever stored: in a draft the code can be taken away."""
    if not study.is_draft:
        return set()
    nothing = Volunteer.objects.filter(
        study=study, series=None, raw_data=None, variants=None, regions=None, measurements=None
    )
    return set(nothing.values_list("code", flat=True))


@transaction.atomic
def do_remove_volunteer(volunteer: Volunteer, actor: User | None) -> None:
    """Take away the code of a volunteer without images, with what was entered of them.

    Somebody whose images were stored withdraws instead: `withdrawals.do_withdraw`.
    """
    study = lock_study(volunteer.study)
    require_site(actor, study, volunteer.site_id)
    check_is_draft(study)
    if volunteer.code not in empty_codes(study):
        raise StudyError(
            f"{volunteer.code} has images or regions: delete its series first, or, if the person "
            "takes part no more, enter the withdrawal."
        )
    if volunteer.code in study.practice_volunteers:
        raise StudyError(
            f"{volunteer.code} is a practice volunteer of the design: take it out there first."
        )
    record(
        "conduct.volunteer.removed",
        actor,
        study_id=study.pk,
        subject=volunteer,
        old={"volunteer": volunteer.code},
        why="The code was empty: no image was stored under it.",
    )
    volunteer.delete()


@transaction.atomic
def do_set_experience(study: Study, actor: User | None, years: Mapping[int, int | None]) -> int:
    """Years of experience of readers, by membership; None takes an entry away. How many changed."""
    require_role(actor, study, Role.COORDINATOR)
    study = lock_study(study)
    lines = {line.membership.pk: line for line in reader_lines(study)}
    changed = 0
    for key, value in years.items():
        line = lines.get(key)
        if line is None:
            raise StudyError("There is no such reader in this study.")
        if value is not None and not 0 <= value <= 70:
            raise StudyError(f"{line.membership.reader_code}: years of experience are 0 to 70.")
        if line.years == value:
            continue
        if value is None:
            ReaderExperience.objects.filter(membership=line.membership).delete()
        else:
            ReaderExperience.objects.update_or_create(
                membership=line.membership, defaults={"years": value}
            )
        changed += 1
        record(
            "conduct.reader.described",
            actor,
            study_id=study.pk,
            subject=line.membership,
            old={"years": line.years},
            new={"reader_code": line.membership.reader_code, "years": value},
        )
    return changed
