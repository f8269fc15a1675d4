"""What coordinators decide about series that wait: where they go, whether text shows, or away."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.jobs.models import Job
from readerstudy.jobs.services import do_enqueue
from readerstudy.studies.access import Reach, require_reach, require_site
from readerstudy.studies.models import Arm, Site, Study
from readerstudy.studies.services import check_is_draft, lock_study

from .errors import ImagingError
from .geometry import Geometry, differences
from .models import InboxSeries
from .selectors import control_series, geometry_of
from .services import check_is_no_arm, check_is_of_site, check_volunteer_code, find_volunteer
from .storing import check_cell_is_free
from .volumes import delete_after_commit

REASON_LENGTHS = (3, 300)


@dataclass(frozen=True)
class Assignment:
    series: InboxSeries
    volunteer: str
    arm: Arm


class OffTheGrid(ImagingError):
    """Series that do not lie on the grid of the control they are to be compared with."""


def check_assign(
    study: Study,
    actor: User | None,
    assignments: Sequence[Assignment],
    *,
    takes_off_grid: bool = False,
) -> None:
    """Everything that can be told before a series is read again. The message names the series.

    A series off the control's grid is stored as one that was sent for its place would be, once
    whoever gives it that place has been told: it may be the wrong volunteer's.
    """
    reach = require_reach(actor, study)
    check_is_draft(study)
    if not assignments:
        raise ImagingError("Choose at least one series, its volunteer and its arm.")
    taken: dict[tuple[str, int], int] = {}
    for item in assignments:
        said = f"Series {item.series.number}"
        site = site_of(item.series)
        if item.series.study_id != study.pk or item.arm.study_id != study.pk:
            raise ImagingError(f"{said} is not one of this study.")
        if not reach.covers(site.pk if site else None):
            raise ImagingError(f"{said} is another site's.")
        if item.series.state != InboxSeries.State.WAITING:
            raise ImagingError(f"{said} is being stored already.")
        if item.series.is_quarantined:
            raise ImagingError(f"{said} may show text: look at its contact sheet and decide first.")
        if item.arm.is_derived:
            raise ImagingError(f"{said}: {item.arm.name} is derived; the platform makes it.")
        try:
            check_volunteer_code(item.volunteer)
            if find_volunteer(study, item.volunteer) is None:
                check_is_no_arm(study, item.volunteer)
        except ImagingError as error:
            raise ImagingError(f"{said}: {error}") from None
        volunteer = find_volunteer(study, item.volunteer)
        if volunteer is not None:
            try:
                check_is_of_site(volunteer, site)
                check_cell_is_free(volunteer, item.arm)
            except ImagingError as error:
                raise ImagingError(f"{said}: {error}") from None
        first = taken.setdefault((item.volunteer.casefold(), item.arm.pk), item.series.number)
        if first != item.series.number:
            raise ImagingError(
                f"Series {first} and {item.series.number} were both given to {item.arm.name} of "
                f"{item.volunteer}: an arm takes one of each volunteer."
            )
    off_grid = [] if takes_off_grid else _off_the_grid(study, assignments)
    if off_grid:
        raise OffTheGrid(
            f"{' '.join(off_grid)} All arms of a volunteer need the control's grid. Is it another "
            "volunteer's? If not, tick “Store off the control's grid”: it is stored, shown beside "
            "the control as one that differs, and has to be replaced before the launch."
        )


def _off_the_grid(study: Study, assignments: Sequence[Assignment]) -> list[str]:
    """Against the stored control, or the one that is given its place along with the others."""
    controls = {
        item.volunteer.casefold(): _geometry(item.series)
        for item in assignments
        if item.arm.is_control
    }
    told = []
    for item in assignments:
        volunteer = find_volunteer(study, item.volunteer)
        control = control_series(volunteer) if volunteer is not None else None
        grid = geometry_of(control) if control else controls.get(item.volunteer.casefold())
        found = differences(grid, _geometry(item.series)) if grid is not None else []
        if found:
            told.append(
                f"Series {item.series.number} is not on the grid of {item.volunteer}'s control: "
                f"{'; '.join(found)}."
            )
    return told


def _geometry(series: InboxSeries) -> Geometry:
    return Geometry.from_json(series.rows, series.columns, series.slices, series.geometry)


@transaction.atomic
def do_assign(
    study: Study,
    actor: User | None,
    assignments: Sequence[Assignment],
    *,
    takes_off_grid: bool = False,
) -> Job:
    """Have the worker store series under a volunteer and an arm."""
    study = lock_study(study)
    fresh = {s.pk: s for s in _with_site().filter(pk__in=[a.series.pk for a in assignments])}
    missing = [a.series.number for a in assignments if a.series.pk not in fresh]
    if missing:
        raise ImagingError(f"Series {missing[0]} is no longer in the inbox.")
    assignments = [Assignment(fresh[a.series.pk], a.volunteer, a.arm) for a in assignments]
    check_assign(study, actor, assignments, takes_off_grid=takes_off_grid)
    count = len(assignments)
    job = do_enqueue(
        "imaging.assign",
        {
            "study": str(study.pk),
            "items": [
                {"inbox": str(a.series.pk), "volunteer": a.volunteer, "arm": a.arm.code}
                for a in assignments
            ],
        },
        actor=actor,
        study_id=study.pk,
        label=f"Storing {count} series from the inbox",
    )
    for item in assignments:
        item.series.state = InboxSeries.State.ASSIGNING
        item.series.job = job
        item.series.problem = ""
        item.series.save(update_fields=["state", "job", "problem"])
        record(
            "imaging.inbox.assigned",
            actor,
            study_id=study.pk,
            subject=item.series,
            new={"number": item.series.number, "volunteer": item.volunteer, "arm": item.arm.code},
        )
    return job


def check_decide(series: InboxSeries, actor: User | None) -> None:
    site = site_of(series)
    require_site(actor, series.study, site.pk if site else None)
    if series.state != InboxSeries.State.WAITING:
        raise ImagingError(f"Series {series.number} is being stored.")


@transaction.atomic
def do_clear_text(series: InboxSeries, actor: User | None) -> None:
    """Somebody has looked at every slice and found no text."""
    study = lock_study(series.study)
    series = _with_site().get(pk=series.pk)
    series.study = study
    check_is_draft(study)  # after the launch nothing is stored any more
    check_decide(series, actor)
    if not series.is_quarantined:
        raise ImagingError(f"Series {series.number} is not suspected of showing text.")
    series.cleared_at = timezone.now()
    series.cleared_by = actor
    series.save(update_fields=["cleared_at", "cleared_by"])
    record(
        "imaging.inbox.text_cleared",
        actor,
        study_id=study.pk,
        subject=series,
        old={"suspicions": series.suspicions},
        new={"number": series.number, "slices": series.slices},
        why="Every slice on the contact sheet was looked at; no text was seen.",
    )


@transaction.atomic
def do_discard_several(found: Sequence[InboxSeries], actor: User | None, why: str) -> None:
    """All or none."""
    if not found:
        raise ImagingError("Tick at least one series to delete.")
    for series in found:
        do_discard(series, actor, why)


@transaction.atomic
def do_discard(series: InboxSeries, actor: User | None, why: str) -> None:
    """Delete a waiting series and its files for good.

    In a launched study too: what waits there can never be stored, and need not be kept.
    """
    why = why.strip()
    if not REASON_LENGTHS[0] <= len(why) <= REASON_LENGTHS[1]:
        raise ImagingError(
            f"Say in {REASON_LENGTHS[0]} to {REASON_LENGTHS[1]} characters why it is deleted."
        )
    study = lock_study(series.study)
    fresh = _with_site().filter(pk=series.pk).first()
    if fresh is None:
        raise ImagingError(f"Series {series.number} is no longer in the inbox.")
    fresh.study = study
    check_decide(fresh, actor)
    delete_after_commit([fresh.prefix])
    delete_inbox_row(fresh, actor, why)


def delete_inbox_row(series: InboxSeries, actor: User | None, why: str) -> None:
    """The row alone, with its trace; files are the caller's to delete once the transaction has
    committed. For `do_discard` and for whoever has authorised the act on a higher floor."""
    record(
        "imaging.inbox.discarded",
        actor,
        study_id=series.study_id,
        subject=series,
        old={
            "number": series.number,
            "slices": series.slices,
            "suspicions": series.suspicions,
        },
        why=why,
    )
    series.delete()


def _with_site() -> QuerySet[InboxSeries]:
    return InboxSeries.objects.select_related("upload__site")


def site_of(series: InboxSeries) -> Site | None:
    """What was sent for a site is that site's; the rest, whatever its sender, the study's."""
    return series.upload.site if series.upload is not None else None


def find_inbox_series(reach: Reach, series_id: uuid.UUID) -> InboxSeries | None:
    found = InboxSeries.objects.filter(study=reach.study, **reach.within("upload__site"))
    return found.select_related("study", "upload__site").filter(pk=series_id).first()
