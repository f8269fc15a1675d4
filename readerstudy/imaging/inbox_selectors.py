"""The inbox as its page shows it."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field

from django.conf import settings

from readerstudy.studies.access import Reach
from readerstudy.studies.models import Arm

from .guessing import arm_by_parameters
from .models import InboxSeries, Series, Volunteer
from .parsing.hints import key_of_person
from .selectors import volunteer_codes
from .upload_history import said_of, upload_numbers

AXES = (("sagittal", 0), ("coronal", 1), ("axial", 2))
OBLIQUE = math.cos(math.radians(20))


@dataclass
class WaitingSeries:
    series: InboxSeries
    description: str
    arm_guess: Arm | None
    because: str  # why that arm
    sent: str = ""  # with which upload, and when


@dataclass
class Person:
    """Series whose headers name the same person; nobody knows here who that is."""

    key: str
    label: str
    volunteer_guess: str
    because: str = ""  # why that volunteer
    series: list[WaitingSeries] = field(default_factory=list)

    @property
    def is_named(self) -> bool:
        """Whether the headers name anybody: else nothing says that two series are of one person."""
        return bool(self.series[0].series.person)

    @property
    def is_waiting(self) -> bool:
        return any(item.series.state == InboxSeries.State.WAITING for item in self.series)


def inbox_count(reach: Reach) -> int:
    return InboxSeries.objects.filter(study=reach.study, **reach.within("upload__site")).count()


def inbox_of(reach: Reach) -> list[Person]:
    """Waiting series by the person they belong to, with what is guessed of volunteer and arm."""
    study = reach.study
    stored = [
        (series.arm, series.parameters)
        for series in Series.objects.filter(
            volunteer__study=study, arm__kind=Arm.Kind.ACQUIRED
        ).select_related("arm")
    ]
    people: dict[tuple[str, str], Person] = {}
    known = known_people(reach)
    numbers = upload_numbers(study)
    rows = InboxSeries.objects.filter(study=study, **reach.within("upload__site"))
    rows = rows.select_related("arm_guess", "job", "cleared_by", "upload__site")
    for row in rows.order_by("number"):
        guess, because = row.arm_guess, "the folder or header names it"
        if guess is None:
            guess = arm_by_parameters(row.parameters, stored)
            because = "acquired like the stored series of this arm"
        volunteer, why = _volunteer_of(row, known)
        # Who is not named is nobody's namesake: each such series is given its own place.
        nobody = "" if volunteer else f"series {row.number}"
        where = (volunteer.casefold(), row.person or nobody)
        person = people.get(where)
        if person is None:
            person = people[where] = Person(
                key=str(row.number), label="", volunteer_guess=volunteer, because=why
            )
        person.series.append(
            WaitingSeries(
                row,
                describe(row),
                guess,
                because if guess is not None else "",
                said_of(row.upload, numbers) if row.upload is not None else "",
            )
        )
    for number, person in enumerate(people.values(), start=1):
        person.label = person.volunteer_guess or f"Person {number}"
    return list(people.values())


def known_people(reach: Reach) -> dict[str, str]:
    """Keyed hash of a person → code of the one volunteer who has it, if within reach.

    From the headers of what is stored, and from the codes themselves: a volunteer may be in the
    study only since the images were sent. A hash that two volunteers share names neither.
    """
    key = settings.DEIDENTIFICATION_KEY.encode()
    codes: dict[str, set[str]] = defaultdict(set)
    for code in reach.study.volunteers.values_list("code", flat=True):
        codes[key_of_person(code, key)].add(code)
    stored = Series.objects.filter(volunteer__study=reach.study).exclude(person="")
    for person, code in stored.values_list("person", "volunteer__code"):
        codes[person].add(code)
    alone = {person: found.pop() for person, found in codes.items() if len(found) == 1}
    within = set(volunteer_codes(reach))
    return {person: code for person, code in alone.items() if code in within}


def _volunteer_of(row: InboxSeries, known: dict[str, str]) -> tuple[str, str]:
    if row.volunteer_guess:
        return row.volunteer_guess, "Named by a folder or a header."
    if row.person in known:
        return known[row.person], "Their headers name this volunteer or the same person."
    return "", ""


def waiting_of(volunteer: Volunteer, reach: Reach) -> tuple[list[InboxSeries], list[InboxSeries]]:
    """What waits and is, by its folder or header, this volunteer's; and what only seems to be.

    A folder or header of another site that says V01, or an identifier that two hospitals gave, is
    another person's: what was sent for a site can become none but its own volunteers'
    (`check_is_of_site`). What was sent for no site is the study's: it counts for whoever reaches
    the whole study, and only seems to for a site's coordinator, who cannot look at it.
    """
    code = volunteer.code.casefold()
    known = known_people(Reach(volunteer.study))
    rows = InboxSeries.objects.filter(study=volunteer.study).select_related("upload")
    own: list[InboxSeries] = []
    seeming: list[InboxSeries] = []
    for row in rows.order_by("number"):
        if _volunteer_of(row, known)[0].casefold() == code:
            site = row.upload.site_id if row.upload is not None else None
            is_own = site in (None, volunteer.site_id) and reach.covers(site)
            (own if is_own else seeming).append(row)
    return own, seeming


def waiting_of_nobody(reach: Reach) -> list[InboxSeries]:
    """What waits and could be anybody's: neither folder nor header names a known volunteer."""
    known = known_people(reach)
    rows = InboxSeries.objects.filter(study=reach.study, **reach.within("upload__site"))
    rows = rows.order_by("number")
    return [row for row in rows if not _volunteer_of(row, known)[0]]


def describe(row: InboxSeries) -> str:
    """`Siemens Skyra · sagittal · SE 2D · TR 3000 ms, TE 100 ms · b 800`"""
    known = row.parameters
    parts = [
        " ".join(str(known[k]) for k in ("Manufacturer", "ManufacturerModelName") if known.get(k)),
        orientation_of(row.geometry),
        " ".join(_words(known.get(k)) for k in ("ScanningSequence", "MRAcquisitionType")).strip(),
        ", ".join(
            f"{name} {_number(known[k])} ms"
            for k, name in (("RepetitionTime", "TR"), ("EchoTime", "TE"), ("InversionTime", "TI"))
            if isinstance(known.get(k), (int, float))
        ),
        f"b {_number(known['DiffusionBValue'])}"
        if isinstance(known.get("DiffusionBValue"), (int, float))
        else "",
    ]
    return " · ".join(part for part in parts if part)


def orientation_of(geometry: dict[str, list[float]]) -> str:
    """The anatomical plane, from the normal of the slices."""
    a, b = geometry["row_direction"], geometry["column_direction"]
    normal = (
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    )
    name, axis = max(AXES, key=lambda item: abs(normal[item[1]]))
    return name if abs(normal[axis]) >= OBLIQUE else f"oblique {name}"


def _words(value: object) -> str:
    if isinstance(value, list):
        return "+".join(str(item) for item in value)
    return "" if value is None else str(value)


def _number(value: float) -> str:
    return f"{value:g}"
