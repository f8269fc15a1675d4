"""The grid volunteer × arm: which images are there, which are on their way, which are missing."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from readerstudy.imaging.geometry import Geometry, differences
from readerstudy.imaging.models import Series, Upload, Volunteer
from readerstudy.imaging.selectors import geometry_of
from readerstudy.jobs.models import Job
from readerstudy.jobs.selectors import NO_WORKER, queues_without_worker
from readerstudy.studies.access import Reach
from readerstudy.studies.models import Arm, Study
from readerstudy.studies.selectors import arms_of, takes_thick_slices, unread_arms
from readerstudy.studies.wording import source_in_words
from readerstudy.variants.facts import percent
from readerstudy.variants.lesion_facts import lesion_line
from readerstudy.variants.models import Variant

from .decisions import Decision, decisions_of
from .models import SeriesShift, Withdrawal
from .shifts import NOTED_SHIFT_MM, shifts_of

# Scanners scale every series by themselves; from this factor on it is worth a look.
NOTED_INTENSITY_FACTOR = 2.0


class CellState(enum.Enum):
    READY = "ready"
    MISMATCH = "mismatch"  # there, but not on the control's grid
    REJECTED = "rejected"  # there, but somebody who looked at it refused it
    WITHDRAWN = "withdrawn"  # erased, because the volunteer withdrew
    MISSING = "missing"  # an acquired arm that was not uploaded
    SOURCE = "source"  # a derived arm whose source is not there yet
    IDLE = "idle"  # a derived arm that nobody has started
    WAITING = "waiting"
    RUNNING = "running"
    FAILED = "failed"


_CLASSES = {
    CellState.READY: "cell-ok",
    CellState.MISMATCH: "cell-bad",
    CellState.REJECTED: "cell-bad",
    CellState.WITHDRAWN: "cell-none",
    CellState.MISSING: "cell-none",
    CellState.SOURCE: "cell-none",
    CellState.IDLE: "cell-warn",
    CellState.WAITING: "cell-wait",
    CellState.RUNNING: "cell-run",
    CellState.FAILED: "cell-bad",
}


@dataclass(frozen=True)
class Cell:
    volunteer: Volunteer
    arm: Arm
    state: CellState
    label: str
    reason: str = ""  # for people: what is wrong
    series: Series | None = None
    done: int = 0
    total: int = 0
    decision: Decision | None = None
    shift: SeriesShift | None = None

    @property
    def intensity(self) -> float | None:
        """By what the arm's brightness is multiplied to match the control's; None for the control.

        For display alone: measurements use the stored values.
        """
        if self.series is None or self.arm.is_control or not self.series.display:
            return None
        return self.series.display_factor

    @property
    def notes(self) -> list[str]:
        """What whoever looks at the series should know, beside what keeps it from being read."""
        found = []
        if self.shift is not None and self.shift.distance_mm is not None:
            if self.shift.distance_mm >= NOTED_SHIFT_MM:
                found.append(f"Lies {self.shift.distance_mm:.1f} mm off the control.")
        elif self.shift is not None:
            found.append(self.shift.note or "Its shift could not be measured.")
        factor = self.intensity
        if factor is not None and not (
            1 / NOTED_INTENSITY_FACTOR <= factor <= NOTED_INTENSITY_FACTOR
        ):
            found.append(f"Intensity scale: {1 / factor:.3g} times the control's.")
        if self.series is not None and self.series.display.get("limited"):
            found.append("Its intensity could not be matched to the control's.")
        return found

    @property
    def warnings(self) -> list[str]:
        """What the making of this very series gave cause to say: for who may see evidence."""
        made = self.series.provenance if self.series is not None else {}
        return [str(warning) for warning in made.get("warnings", [])]

    @property
    def doubts(self) -> list[str]:
        """Of images that a network made: how much of them is flagged, and its lesion test; for who
        may see evidence."""
        made = self.series.provenance if self.series is not None else {}
        share = made.get("qc", {}).get("flagged_share")
        flagged = [f"{percent(float(share))} flagged by the warning map"] if share else []
        lesions = lesion_line(made)
        return [*flagged, *([lesions] if lesions else [])]

    @property
    def is_made_here(self) -> bool:
        """Whether the worker made the series, so that there is a record of how."""
        derived = self.arm.is_derived
        return self.series is not None and (derived or bool(self.series.provenance))

    @property
    def is_ready(self) -> bool:
        return self.state == CellState.READY

    @property
    def is_moving(self) -> bool:
        return self.state in {CellState.WAITING, CellState.RUNNING}

    @property
    def may_start(self) -> bool:
        """Whether a coordinator can have the worker make it (again)."""
        return self.state in {CellState.IDLE, CellState.FAILED}

    @property
    def css_class(self) -> str:
        return _CLASSES[self.state]


@dataclass(frozen=True)
class Row:
    volunteer: Volunteer
    cells: Sequence[Cell]

    @property
    def has_images(self) -> bool:
        return any(cell.series is not None for cell in self.cells)

    @property
    def n_undecided(self) -> int:
        return sum(cell.is_ready and cell.decision is None for cell in self.cells)


@dataclass(frozen=True)
class Grid:
    arms: Sequence[Arm]
    rows: Sequence[Row]
    uploads_in_work: int

    def cells(self) -> Iterator[Cell]:
        for row in self.rows:
            yield from row.cells

    @property
    def n_cells(self) -> int:
        return len(self.rows) * len(self.arms)

    @property
    def headings(self) -> list[tuple[Arm, str]]:
        """The arms, and what each derived one is made from."""
        return [(arm, source_in_words(arm)) for arm in self.arms]

    @property
    def column_percent(self) -> int:
        """Columns of equal width, whatever their cells say."""
        return 92 // max(1, len(self.arms))

    @property
    def n_ready(self) -> int:
        return sum(cell.is_ready for cell in self.cells())

    @property
    def n_undecided(self) -> int:
        """Series that are ready and that nobody has looked at."""
        return sum(row.n_undecided for row in self.rows)

    @property
    def n_moving(self) -> int:
        return sum(cell.is_moving for cell in self.cells())

    @property
    def n_wrong(self) -> int:
        wrong = {CellState.FAILED, CellState.MISMATCH, CellState.REJECTED}
        return sum(cell.state in wrong for cell in self.cells())

    @property
    def n_unmeasured(self) -> int:
        """Series whose shift against their control the workers have yet to measure."""
        return sum(
            cell.series is not None and not cell.arm.is_control and cell.shift is None
            for row in self.rows
            if any(cell.arm.is_control and cell.series is not None for cell in row.cells)
            for cell in row.cells
        )

    @property
    def is_complete(self) -> bool:
        return self.n_cells > 0 and self.n_ready == self.n_cells

    @property
    def is_moving(self) -> bool:
        """Whether the page has a reason to look again soon."""
        return self.n_moving > 0 or self.uploads_in_work > 0


def readiness_grid(study: Study, reach: Reach | None = None) -> Grid:
    """`reach`: of whoever looks; a site coordinator sees the site's volunteers alone."""
    reach = reach or Reach(study)
    arms = arms_of(study)
    stored = list(Series.objects.filter(volunteer__study=study))
    series = {(s.volunteer_id, s.arm_id): s for s in stored}
    unread = frozenset(arm.pk for arm in unread_arms(study))
    looked_at = _LookedAt(
        decisions_of(stored), shifts_of(stored), unread, frozenset(queues_without_worker())
    )
    variants = {
        (v.volunteer_id, v.arm_id): v
        for v in Variant.objects.filter(volunteer__study=study).select_related("job")
    }
    withdrawn = set(Withdrawal.objects.filter(study=study).values_list("volunteer_code", flat=True))
    control = next((arm for arm in arms if arm.is_control), None)
    rows = []
    volunteers = Volunteer.objects.filter(study=study, **reach.within()).select_related("site")
    for volunteer in volunteers:
        if volunteer.code in withdrawn and not study.is_draft:
            erased = [Cell(volunteer, arm, CellState.WITHDRAWN, "Erased") for arm in arms]
            rows.append(Row(volunteer, erased))
            continue
        reference = series.get((volunteer.pk, control.pk)) if control else None
        grid = geometry_of(reference) if reference else None
        rows.append(
            Row(
                volunteer,
                [
                    _cell(
                        volunteer,
                        arm,
                        series.get((volunteer.pk, arm.pk)),
                        variants.get((volunteer.pk, arm.pk)),
                        series.get((volunteer.pk, arm.source_id)) if arm.source_id else None,
                        grid,
                        looked_at,
                    )
                    for arm in arms
                ],
            )
        )
    return Grid(arms=arms, rows=rows, uploads_in_work=uploads_in_work(reach))


@dataclass(frozen=True)
class _LookedAt:
    decisions: dict[uuid.UUID, Decision]
    shifts: dict[uuid.UUID, SeriesShift]
    unread: frozenset[int]  # arms that others are made from, and that no reader sees
    unserved: frozenset[str]  # queues that no living worker serves


def uploads_in_work(reach: Reach) -> int:
    """Uploads that the worker has yet to read, or reads now."""
    states = [Upload.State.QUEUED, Upload.State.READING]
    found = Upload.objects.filter(study=reach.study, state__in=states, **reach.within())
    return found.count()


def find_cell(study: Study, volunteer_code: str, arm_code: str) -> Cell | None:
    for cell in readiness_grid(study).cells():
        if cell.volunteer.code == volunteer_code and cell.arm.code == arm_code:
            return cell
    return None


def _cell(
    volunteer: Volunteer,
    arm: Arm,
    series: Series | None,
    variant: Variant | None,
    source: Series | None,
    control: Geometry | None,
    looked_at: _LookedAt,
) -> Cell:
    if series is not None:
        return _stored_cell(volunteer, arm, series, control, looked_at)
    if not arm.is_derived or arm.source is None:
        if variant is not None and variant.job is not None:  # sent as raw data
            return _derived_cell(volunteer, arm, variant.job, looked_at)
        return Cell(volunteer, arm, CellState.MISSING, "Missing")
    if source is None:
        return Cell(volunteer, arm, CellState.SOURCE, f"Waits for {arm.source.name}")
    job = variant.job if variant else None
    off_grid = control is not None and bool(differences(control, geometry_of(source)))
    if job is None and off_grid and not takes_thick_slices(arm):
        reason = "Its source is not on the control's grid."
        return Cell(volunteer, arm, CellState.SOURCE, f"Waits for {arm.source.name}", reason)
    if job is None:
        return Cell(volunteer, arm, CellState.IDLE, "Not started")
    return _derived_cell(volunteer, arm, job, looked_at)


def _stored_cell(
    volunteer: Volunteer, arm: Arm, series: Series, control: Geometry | None, looked_at: _LookedAt
) -> Cell:
    decision = looked_at.decisions.get(series.pk)
    state, label, reason = CellState.READY, "Ready", ""
    off_grid = differences(control, geometry_of(series)) if control else []
    if arm.pk in looked_at.unread:
        label, off_grid = "Ready, not read", []
    if off_grid:
        state, label = CellState.MISMATCH, "Differs"
        reason = f"Not on the control's grid: {'; '.join(off_grid)}."
    elif decision is not None and not decision.accepted:
        state, label, reason = CellState.REJECTED, "Rejected", decision.reason
    return Cell(
        volunteer,
        arm,
        state,
        label,
        reason,
        series,
        decision=decision,
        shift=looked_at.shifts.get(series.pk),
    )


def _derived_cell(volunteer: Volunteer, arm: Arm, job: Job, looked_at: _LookedAt) -> Cell:
    if job.state == Job.State.QUEUED:
        # A job that was tried before says why it is tried again.
        reasons = [job.message, NO_WORKER if job.queue in looked_at.unserved else ""]
        reason = " ".join(filter(None, reasons))
        return Cell(volunteer, arm, CellState.WAITING, "Waits for the worker", reason)
    if job.state == Job.State.RUNNING:
        counted = f" {job.progress_done} / {job.progress_total}" if job.progress_total else ""
        return Cell(
            volunteer,
            arm,
            CellState.RUNNING,
            job.message or f"Being made{counted}",
            done=job.progress_done,
            total=job.progress_total,
        )
    if job.state == Job.State.CANCELLED:
        return Cell(volunteer, arm, CellState.IDLE, "Cancelled")
    if job.state == Job.State.SUCCEEDED:
        return Cell(volunteer, arm, CellState.FAILED, "Gone", "Its images were removed.")
    reason = job.error or "The worker gave no reason."
    return Cell(volunteer, arm, CellState.FAILED, "Failed", reason)
