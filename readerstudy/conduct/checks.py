"""What must hold before a study is launched, as a list that a coordinator can work through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from readerstudy.imaging.inbox_selectors import inbox_count
from readerstudy.measurements.models import Region
from readerstudy.reading.ordering import order_faults
from readerstudy.reading.warning_maps import notes as warning_map_notes
from readerstudy.studies.access import Reach
from readerstudy.studies.models import Membership, Role, Site, Study
from readerstudy.studies.selectors import reader_memberships, sites_of

from .readiness import Cell, CellState, Grid

OK, WARNING, FAULT = "ok", "warn", "bad"
POINTS = 5  # of the scale
POINT_MODES = {Study.ReadingMode.RELATIVE, Study.ReadingMode.ABSOLUTE}


@dataclass(frozen=True)
class Check:
    title: str
    level: str  # OK, WARNING (the launch goes on) or FAULT (it does not)
    details: Sequence[str] = ()

    @property
    def is_fault(self) -> bool:
        return self.level == FAULT


def launch_checks(study: Study, grid: Grid, *, shows_evidence: bool = False) -> list[Check]:
    checks = [_images(grid), protocol_check(study), _readers(study), _statistician(study)]
    sites = sites_of(study)
    if sites:
        checks.insert(1, _sites(study, grid, sites))
    if not grid.rows:
        return checks  # nothing can be said yet of geometry, order and regions
    return [
        *checks[:1],
        _geometry(grid),
        _looked_at(grid),
        _alignment(grid),
        *([_making(grid)] if shows_evidence else []),
        *checks[1:],
        _inbox(study),
        _order(study),
        *_warning_maps(study),
        _regions(study, grid),
    ]


def _check(title: str, level_if_any: str, details: Sequence[str]) -> Check:
    return Check(title, level_if_any if details else OK, details)


def _images(grid: Grid) -> Check:
    title = "Every arm of every volunteer is there"
    if not grid.rows:
        return Check(title, FAULT, ["No volunteer yet: upload the scans first."])
    details = [
        f"{row.volunteer.code}: {', '.join(_shortfall(cell) for cell in lacking)}."
        for row in grid.rows
        if (lacking := [c for c in row.cells if c.series is None])
    ]
    if grid.uploads_in_work:
        details.append("An upload is being read: wait until it is done.")
    return _check(title, FAULT, details)


def _sites(study: Study, grid: Grid, sites: Sequence[Site]) -> Check:
    """Every volunteer has a site, and whoever reads at one has somebody to read there."""
    details = [
        f"{row.volunteer.code} belongs to no site."
        for row in grid.rows
        if row.volunteer.site_id is None
    ]
    there = {row.volunteer.site_id for row in grid.rows}
    details += [
        f"{member.reader_code} ({member.user}) reads at {member.site.name}, which has no volunteer."
        for member in reader_memberships(study)
        if member.site is not None and member.site.pk not in there
    ]
    if details:
        return Check("Every volunteer belongs to a site", FAULT, details)
    empty = [f"{site.name} has no volunteer." for site in sites if site.pk not in there]
    return _check("Every volunteer belongs to a site", WARNING, empty)


def _shortfall(cell: Cell) -> str:
    words = {
        CellState.MISSING: "is missing",
        CellState.SOURCE: "waits for its source",
        CellState.IDLE: "was not started",
        CellState.WAITING: "waits for the worker",
        CellState.RUNNING: "is being made",
        CellState.FAILED: "failed",
    }
    return f"{cell.arm.name} {words[cell.state]}"


def _geometry(grid: Grid) -> Check:
    details = [
        f"{cell.volunteer.code} {cell.arm.name}: {cell.reason}"
        for cell in grid.cells()
        if cell.state == CellState.MISMATCH
    ]
    return _check("All arms of a volunteer lie on the control's grid", FAULT, details)


def _looked_at(grid: Grid) -> Check:
    """No series is read unseen."""
    details = [
        f"{cell.volunteer.code} {cell.arm.name} was rejected: {cell.reason}"
        for cell in grid.cells()
        if cell.state == CellState.REJECTED
    ]
    details += [
        f"{row.volunteer.code}: {row.n_undecided} series to look at."
        for row in grid.rows
        if row.n_undecided
    ]
    together = sum(cell.decision is not None and cell.decision.is_together for cell in grid.cells())
    title = "Every series was accepted"
    if together and not details:
        title += f", {together} of them together, from the grid"
    return _check(title, FAULT, details)


def _alignment(grid: Grid) -> Check:
    details = [
        f"{cell.volunteer.code} {cell.arm.name}: {note}"
        for cell in grid.cells()
        for note in cell.notes
    ]
    return _check("All arms lie and are scaled like the control", WARNING, details)


def _making(grid: Grid) -> Check:
    details = [
        f"{cell.volunteer.code} {cell.arm.name}: {len(cell.warnings)} "
        f"{'warning' if len(cell.warnings) == 1 else 'warnings'}; its Evidence tells."
        for cell in grid.cells()
        if cell.warnings and cell.state != CellState.REJECTED
    ]
    return _check("No series was made with a warning", WARNING, details)


def protocol_check(study: Study) -> Check:
    """What the design still lacks to be launched."""
    details = []
    arms = list(study.arms.all())
    if not any(arm.is_control for arm in arms):
        details.append("No arm is the control.")
    if len(arms) < 2:
        details.append("A study needs at least two arms.")
    criteria = list(study.criteria.all())
    if not criteria:
        details.append("There is no criterion to score.")
    if study.reading_mode in POINT_MODES:
        details += [
            f"{criterion.name}: a wording is needed for each of the {POINTS} points."
            for criterion in criteria
            if len(criterion.anchors) != POINTS
        ]
    if not study.comparisons.exists():
        details.append("No comparison is named.")
    return _check("The protocol is complete", FAULT, details)


def _readers(study: Study) -> Check:
    title = "Readers are named"
    readers = reader_memberships(study)
    if not readers:
        return Check(title, FAULT, ["Invite at least one reader: none can join after the launch."])
    uncoded = [f"{member.user} has no reader code." for member in readers if not member.reader_code]
    if uncoded:
        return Check(title, FAULT, uncoded)
    details = [
        f"{member.reader_code} ({member.user}) has not accepted the invitation yet."
        for member in readers
        if not member.user.is_active
    ]
    others = set(
        Membership.objects.filter(study=study)
        .exclude(role=Role.READER)
        .values_list("user", flat=True)
    )
    details += [
        f"{member.reader_code} ({member.user}) holds another role too and can learn the arms."
        for member in readers
        if member.user_id in others or member.user.is_administrator
    ]
    return _check(title, WARNING, details)


def _inbox(study: Study) -> Check:
    waiting = inbox_count(Reach(study))
    details = (
        [
            f"{waiting} series {'waits' if waiting == 1 else 'wait'} in the inbox: after the "
            "launch they can only be deleted."
        ]
        if waiting
        else []
    )
    return _check("Nothing waits in the inbox", WARNING, details)


def _order(study: Study) -> Check:
    return _check("A reading order can keep the protocol's rules", FAULT, order_faults(study))


def _warning_maps(study: Study) -> list[Check]:
    """Nothing in a study whose readers see none."""
    if study.warning_maps == Study.WarningMaps.NEVER:
        return []
    return [_check("Warning maps tell no arm", WARNING, warning_map_notes(study))]


def _statistician(study: Study) -> Check:
    there = Membership.objects.filter(study=study, role=Role.STATISTICIAN).exists()
    details = [] if there else ["Nobody has that role yet; one can be invited later too."]
    return _check("A statistician is named", WARNING, details)


def _regions(study: Study, grid: Grid) -> Check:
    analysed = [row for row in grid.rows if row.volunteer.code not in study.practice_volunteers]
    wanted = len(analysed) * study.tissues.count()
    placed = (
        Region.objects.filter(volunteer__in=[row.volunteer for row in analysed], observer=1)
        .values("volunteer", "tissue")
        .distinct()
        .count()
    )
    missing = wanted - placed
    details = (
        [f"{placed} of {wanted} are placed; the others can be placed until the study is locked."]
        if missing > 0
        else []
    )
    return _check("Regions of interest are placed", WARNING, details)
