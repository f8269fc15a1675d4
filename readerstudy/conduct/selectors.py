"""What each person finds on the first page: their studies, how far they are, what to do next."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Q
from django.urls import reverse
from django.utils import timezone

from readerstudy.accounts.models import User
from readerstudy.reading.frames import ReaderProgress, progress
from readerstudy.reading.models import Item, Session
from readerstudy.studies.access import reach_in, roles_in, studies_for
from readerstudy.studies.models import Role, Study

from .readiness import readiness_grid


@dataclass(frozen=True)
class ReadingCard:
    """A reader's study: its title and how far the reader is. No address, no arm, no volunteer."""

    title: str
    submitted: int
    total: int
    is_open: bool
    is_washing_out: bool = False  # what is left opens at a later date

    @property
    def is_done(self) -> bool:
        return self.total > 0 and self.submitted == self.total

    @property
    def is_waiting(self) -> bool:
        """There are items to read now."""
        return self.is_open and self.submitted < self.total and not self.is_washing_out


@dataclass(frozen=True)
class Step:
    label: str
    address: str


@dataclass(frozen=True)
class StudyCard:
    study: Study
    roles: tuple[str, ...]
    line: str
    step: Step
    done: int
    total: int
    is_whole: bool = True  # the person may see the protocol, not a site alone


def reading_cards(user: User) -> list[ReadingCard]:
    """The studies that the person reads in."""
    studies = Study.objects.filter(memberships__user=user, memberships__role=Role.READER)
    read = ~Q(items__purpose=Item.Purpose.PRACTICE)
    sessions = {
        row["study"]: row
        for row in Session.objects.filter(reader=user, is_imported=False)
        .values("study")
        .annotate(
            total=Count("items", filter=read),
            submitted=Count("items", filter=read & Q(items__submitted_at__isnull=False)),
        )
    }
    readable = set(
        Session.objects.filter(reader=user, is_imported=False, completed_at=None)
        .filter(Q(occasion=1) | Q(opens_at__lte=timezone.now()))
        .values_list("study", flat=True)
    )
    cards = []
    for study in studies:
        counts = sessions.get(study.pk, {"total": 0, "submitted": 0})
        cards.append(
            ReadingCard(
                title=study.title,
                submitted=counts["submitted"],
                total=counts["total"],
                is_open=study.state == Study.State.READING,
                is_washing_out=0 < counts["submitted"] < counts["total"]
                and study.pk not in readable,
            )
        )
    return sorted(cards, key=lambda card: (not card.is_waiting, card.title))


def study_cards(user: User) -> list[StudyCard]:
    """The studies that the person runs or analyses; a reader has none here."""
    cards = []
    for study in studies_for(user):
        roles = roles_in(user, study)
        coordinates = Role.COORDINATOR in roles or user.is_administrator
        labels = tuple(role.label for role in Role if role.value in roles)
        if coordinates or Role.STATISTICIAN in roles:
            cards.append(_study_card(study, labels, coordinates))
        elif Role.SITE_COORDINATOR in roles:
            cards.append(_site_card(study, labels, user))
    return cards


def _site_card(study: Study, roles: tuple[str, ...], user: User) -> StudyCard:
    """What a site coordinator finds: the own site's volunteers, and nothing of the reading."""
    reach = reach_in(user, study)
    grid = readiness_grid(study, reach)
    where = f"{reach.site.name}: " if reach is not None and reach.site is not None else ""
    if study.is_draft and not grid.is_complete:
        step = Step("Upload scans", reverse("uploads", args=[study.slug]))
    else:
        step = Step("See the images", reverse("readiness", args=[study.slug]))
    line = f"{where}{grid.n_ready} of {grid.n_cells} image series ready."
    return StudyCard(study, roles, line, step, grid.n_ready, grid.n_cells, is_whole=False)


def _study_card(study: Study, roles: tuple[str, ...], coordinates: bool) -> StudyCard:
    overview = Step("See the protocol", reverse("study", args=[study.slug]))
    readiness = reverse("readiness", args=[study.slug])
    results = Step("Open the results", reverse("results", args=[study.slug]))
    if study.is_draft:
        grid = readiness_grid(study)
        if not grid.rows:
            line = "No scan has been uploaded yet."
            step = Step("Upload scans", reverse("uploads", args=[study.slug]))
        else:
            line = f"{grid.n_ready} of {grid.n_cells} image series ready."
            step = Step(
                "Check and launch" if grid.is_complete else "See what is missing", readiness
            )
        return StudyCard(
            study, roles, line, step if coordinates else overview, grid.n_ready, grid.n_cells
        )
    submitted, total = _totals(progress(study))
    if study.is_locked:
        line = "Locked; the arms are masked." if not study.is_unblinded else "Unblinded."
        # Results open to coordinators with the key: until then that way leads to a refusal.
        waits = Role.COORDINATOR.label in roles and not study.is_unblinded
        step = Step("See the progress", readiness) if waits else results
        return StudyCard(study, roles, line, step, submitted, total)
    line = f"{submitted} of {total} items read."
    if not coordinates:
        return StudyCard(study, roles, line, overview, submitted, total)
    label = "Finish and lock" if submitted == total else "Follow the reading"
    return StudyCard(study, roles, line, Step(label, readiness), submitted, total)


def _totals(readers: list[ReaderProgress]) -> tuple[int, int]:
    return sum(p.submitted for p in readers), sum(p.total for p in readers)


@dataclass(frozen=True)
class ReaderLine:
    """A reader as the coordinator follows them: progress and times, never a score."""

    reader_code: str
    name: str
    occasion: int
    submitted: int
    total: int
    is_imported: bool
    last_submitted: object | None
    is_begun: bool  # something was answered, though perhaps no item is submitted yet

    @property
    def is_done(self) -> bool:
        return self.submitted == self.total


def reader_lines(study: Study) -> list[ReaderLine]:
    sessions = {
        (s.reader_code, s.occasion): s
        for s in Session.objects.filter(study=study).select_related("reader")
    }
    last = {
        row["session"]: row["submitted_at"]
        for row in Item.objects.filter(session__study=study, submitted_at__isnull=False)
        .order_by("submitted_at")
        .values("session", "submitted_at")
    }
    lines = []
    for p in progress(study):
        session = sessions[p.reader_code, p.occasion]
        lines.append(
            ReaderLine(
                reader_code=p.reader_code,
                name=str(session.reader) if session.reader else "",
                occasion=p.occasion,
                submitted=p.submitted,
                total=p.total,
                is_imported=p.is_imported,
                last_submitted=last.get(session.pk),
                is_begun=p.is_begun,
            )
        )
    return lines
