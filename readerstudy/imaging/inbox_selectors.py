"""The inbox as its page shows it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from readerstudy.studies.access import Reach
from readerstudy.studies.models import Arm

from .guessing import arm_by_parameters
from .models import InboxSeries, Series

AXES = (("sagittal", 0), ("coronal", 1), ("axial", 2))
OBLIQUE = math.cos(math.radians(20))


@dataclass
class WaitingSeries:
    series: InboxSeries
    description: str
    arm_guess: Arm | None
    because: str  # why that arm


@dataclass
class Person:
    """Series whose headers name the same person; nobody knows here who that is."""

    key: str
    label: str
    volunteer_guess: str
    series: list[WaitingSeries] = field(default_factory=list)

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
    rows = InboxSeries.objects.filter(study=study, **reach.within("upload__site"))
    rows = rows.select_related("arm_guess", "job", "cleared_by", "upload__site")
    for row in rows.order_by("number"):
        guess, because = row.arm_guess, "the folder or header names it"
        if guess is None:
            guess = arm_by_parameters(row.parameters, stored)
            because = "acquired like the stored series of this arm"
        where = (row.volunteer_guess.casefold(), row.person)
        person = people.get(where)
        if person is None:
            person = people[where] = Person(
                key=str(row.number), label="", volunteer_guess=row.volunteer_guess
            )
        person.series.append(
            WaitingSeries(row, describe(row), guess, because if guess is not None else "")
        )
    for number, person in enumerate(people.values(), start=1):
        person.label = person.volunteer_guess or f"Person {number}"
    return list(people.values())


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
