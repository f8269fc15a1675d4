"""The paper's Table 1: how each arm was acquired, from the headers, beside what was entered.

Headers of compressed-sensing scans often lack the scan time and the factor. What they lack a
coordinator enters for the arm; it is marked as entered wherever it is shown.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.imaging.models import Series
from readerstudy.studies.access import require_role
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Arm, Role, Study
from readerstudy.studies.selectors import arms_of
from readerstudy.studies.services import check_not_locked, lock_study

from .models import EnteredParameter

Name = EnteredParameter.Name
HEADER, ENTERED, NOTHING = "header", "entered", ""


@dataclass(frozen=True)
class Entry:
    text: str
    origin: str = NOTHING
    note: str = ""  # e.g. in how many of the volunteers it stands

    @property
    def is_entered(self) -> bool:
        return self.origin == ENTERED


@dataclass(frozen=True)
class Line:
    label: str
    entries: Sequence[Entry]


@dataclass(frozen=True)
class AcquisitionTable:
    arms: Sequence[Arm]
    lines: Sequence[Line]

    @property
    def has_entered(self) -> bool:
        return any(entry.is_entered for line in self.lines for entry in line.entries)


def _plain(keyword: str, digits: int = 4) -> Callable[[Series], str]:
    def read(series: Series) -> str:
        return _text(series.parameters.get(keyword), digits)

    return read


def _text(value: Any, digits: int = 4) -> str:
    if value is None or value == "" or value == []:
        return ""
    if isinstance(value, list):
        return ", ".join(text for item in value if (text := _text(item, digits)))
    try:
        return f"{float(value):.{digits}g}"
    except (TypeError, ValueError):
        return str(value)


def _scanner(series: Series) -> str:
    words = [series.parameters.get(name) for name in ("Manufacturer", "ManufacturerModelName")]
    return " ".join(str(word) for word in words if word)


def _field_of_view(series: Series) -> str:
    stored = series.geometry
    down = series.rows * float(stored["row_spacing"])
    across = series.columns * float(stored["column_spacing"])
    return f"{down:.4g} × {across:.4g}"


def _voxel(series: Series) -> str:
    stored = series.geometry
    return f"{float(stored['row_spacing']):.3g} × {float(stored['column_spacing']):.3g}"


def _acquisition_matrix(series: Series) -> str:
    """Rows × columns, as the reconstructed matrix. DICOM gives four numbers: frequency rows and
    columns, phase rows and columns; two are zero."""
    value = series.parameters.get("AcquisitionMatrix")
    if isinstance(value, list) and len(value) == 4:
        rows, columns = int(value[0]) or int(value[2]), int(value[1]) or int(value[3])
        if rows and columns:
            return f"{rows} × {columns}"
    numbers = [int(item) for item in value if int(item)] if isinstance(value, list) else []
    return " × ".join(str(number) for number in numbers)


def _gap(series: Series) -> str:
    try:
        between = float(series.parameters["SpacingBetweenSlices"])
        return f"{between - float(series.parameters['SliceThickness']):.3g}"
    except (KeyError, TypeError, ValueError):
        return ""


def _denoising(series: Series) -> str:
    value = series.parameters.get("VendorDenoising")
    if isinstance(value, dict):
        return ", ".join(str(item) for item in value.values() if item)
    return _text(value)


LINES: tuple[tuple[str, Callable[[Series], str]], ...] = (
    ("Scanner", _scanner),
    ("Field strength (T)", _plain("MagneticFieldStrength")),
    ("Body part", _plain("BodyPartExamined")),
    ("Sequence", _plain("ScanningSequence")),
    ("Sequence variant", _plain("SequenceVariant")),
    ("Acquisition", _plain("MRAcquisitionType")),
    ("Repetition time (ms)", _plain("RepetitionTime", 6)),
    ("Echo time (ms)", _plain("EchoTime")),
    ("Inversion time (ms)", _plain("InversionTime")),
    ("Flip angle (°)", _plain("FlipAngle")),
    ("Echo train length", _plain("EchoTrainLength")),
    ("Averages", _plain("NumberOfAverages")),
    ("Field of view (mm)", _field_of_view),
    ("Acquired matrix", _acquisition_matrix),
    ("Reconstructed matrix", lambda series: f"{series.rows} × {series.columns}"),
    ("Pixel spacing (mm)", _voxel),
    ("Slices", lambda series: str(series.slices)),
    ("Slice thickness (mm)", _plain("SliceThickness")),
    ("Gap (mm)", _gap),
    ("Bandwidth (Hz/pixel)", _plain("PixelBandwidth")),
    ("Phase encoding", _plain("InPlanePhaseEncodingDirection")),
    ("Partial Fourier", _plain("PartialFourier")),
    ("Phase lines sampled (%)", _plain("PercentSampling")),
    ("Parallel imaging", _plain("ParallelAcquisitionTechnique")),
    ("Denoised on the scanner", _denoising),
)
# Lines that somebody may enter: what the headers say comes first.
ENTERABLE: Mapping[str, tuple[str, str]] = {
    Name.ACCELERATION.value: ("Parallel-imaging factor", "ParallelReductionFactorInPlane"),
    Name.CS_FACTOR.value: ("Compressed-sensing factor", ""),
    Name.SCAN_TIME.value: ("Scan time (s)", "AcquisitionDuration"),
}


def acquisition_table(study: Study) -> AcquisitionTable:
    """All arms side by side. A derived arm was acquired as the arm it is made from."""
    arms = arms_of(study)
    series = _series_by_arm(study)
    acquired = {arm.pk: arm.source if arm.is_derived and arm.source else arm for arm in arms}
    stored = {arm.pk: series.get(acquired[arm.pk].pk, []) for arm in arms}
    lines = [
        Line(label, entries)
        for label, read in LINES
        if any(entries := [_from_headers(stored[arm.pk], read) for arm in arms])
        and any(entry.text for entry in entries)
    ]
    entered = _entered(study)
    for name, (label, keyword) in ENTERABLE.items():
        entries = [
            _entry(stored[arm.pk], keyword, entered.get((acquired[arm.pk].pk, name)))
            for arm in arms
        ]
        lines.append(Line(label, entries))
    lines.append(_time_saved(arms, lines[-1]))
    return AcquisitionTable(arms, lines)


def _series_by_arm(study: Study) -> dict[int, list[Series]]:
    found: dict[int, list[Series]] = {}
    for series in Series.objects.filter(volunteer__study=study).order_by("volunteer__code"):
        found.setdefault(series.arm_id, []).append(series)
    return found


def _entered(study: Study) -> dict[tuple[int, str], float]:
    rows = EnteredParameter.objects.filter(arm__study=study)
    return {(row.arm_id, row.name): row.value for row in rows}


def _from_headers(series: Sequence[Series], read: Callable[[Series], str]) -> Entry:
    texts = [text for one in series if (text := read(one))]
    if not texts:
        return Entry("")
    different = sorted(set(texts))
    note = "" if len(texts) == len(series) else f"in {len(texts)} of {len(series)}"
    if len(different) == 1:
        return Entry(different[0], HEADER, note)
    numbers = _numbers(different)
    if numbers:
        return Entry(f"{min(numbers):.6g}–{max(numbers):.6g}", HEADER, note)
    return Entry("; ".join(different), HEADER, note)


def _numbers(texts: Sequence[str]) -> list[float]:
    try:
        return [float(text) for text in texts]
    except ValueError:
        return []


def _entry(series: Sequence[Series], keyword: str, entered: float | None) -> Entry:
    if keyword:
        said = _from_headers(series, _plain(keyword, 6))
        if said.text:
            return said
    return Entry(f"{entered:.6g}", ENTERED) if entered is not None else Entry("")


def _time_saved(arms: Sequence[Arm], times: Line) -> Line:
    """Against the control, where both times are one number."""
    of_control = next(
        (e for arm, e in zip(arms, times.entries, strict=True) if arm.is_control), Entry("")
    )
    control = _numbers([of_control.text])
    entries = []
    for arm, entry in zip(arms, times.entries, strict=True):
        own = _numbers([entry.text])
        if arm.is_control or not own or not control:
            entries.append(Entry("–" if arm.is_control else ""))
            continue
        is_entered = ENTERED in (entry.origin, of_control.origin)
        entries.append(
            Entry(f"{100 * (1 - own[0] / control[0]):.0f} %", ENTERED if is_entered else HEADER)
        )
    return Line("Time saved against the control", entries)


def entered_values(study: Study) -> dict[tuple[int, str], float]:
    """{(arm key, name): value} as entered."""
    return _entered(study)


def table_as_csv(table: AcquisitionTable) -> str:
    """Long form: parameter, arm, value, origin, note."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(["parameter", "arm", "value", "origin", "note"])
    for line in table.lines:
        for arm, entry in zip(table.arms, line.entries, strict=True):
            writer.writerow([line.label, arm.code, entry.text, entry.origin, entry.note])
    return buffer.getvalue()


def acquisition_rows(study: Study) -> list[list[str]]:
    """[parameter, arm code, text] of every line that says something; what was entered says so."""
    if not Series.objects.filter(volunteer__study=study).exists():
        return []
    table = acquisition_table(study)
    rows = []
    for line in table.lines:
        if not any(entry.text for entry in line.entries):
            continue
        for arm, entry in zip(table.arms, line.entries, strict=True):
            entered = " (entered)" if entry.is_entered and entry.text else ""
            note = f" ({entry.note})" if entry.note else ""
            rows.append([line.label, arm.code, f"{entry.text or '–'}{entered}{note}"])
    return rows


@transaction.atomic
def do_enter_parameters(
    study: Study, actor: User | None, values: Mapping[tuple[str, str], float | None]
) -> int:
    """Enter {(arm code, name): value} for acquired arms; None takes one away. How many changed."""
    require_role(actor, study, Role.COORDINATOR)
    study = lock_study(study)
    check_not_locked(study)
    arms = {arm.code: arm for arm in arms_of(study)}
    before = _entered(study)
    changed = 0
    for (code, name), value in values.items():
        arm = arms.get(code)
        if arm is None or arm.is_derived or name not in Name.values:
            raise StudyError(f"Nothing of that kind can be entered for “{code}”.")
        if value is not None and not 0 < value <= 100_000:
            raise StudyError(f"{arm.name}, {Name(name).label}: give a number above zero.")
        old = before.get((arm.pk, name))
        if old == value:
            continue
        if value is None:
            EnteredParameter.objects.filter(arm=arm, name=name).delete()
        else:
            EnteredParameter.objects.update_or_create(
                arm=arm, name=name, defaults={"value": value, "entered_by": actor}
            )
        changed += 1
        record(
            "conduct.parameter.entered",
            actor,
            study_id=study.pk,
            subject=arm,
            old={"value": old},
            new={"arm": code, "name": name, "value": value},
        )
    return changed
