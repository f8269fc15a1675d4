"""Region measurements that another tool made, brought in from a table.

Everything is checked before anything is written. An imported measurement has no region of ours
behind it, and says so by its origin.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db import transaction

from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.imaging.models import Volunteer
from readerstudy.studies.access import require_role
from readerstudy.studies.models import Role, Study, Tissue
from readerstudy.studies.services import check_not_locked
from readerstudy.studies.tables import (
    Fault,
    RowCheck,
    TableFile,
    duplicate,
    known_names,
    read_table,
    table_notes,
)

from .models import Measurement

COLUMNS = {
    "case": ("case", "volunteer", "subject", "patient", "case_id", "volunteer_code"),
    "sequence": ("sequence", "arm", "image_set", "method", "arm_code"),
    "roi": ("roi", "tissue", "region", "tissue_code"),
    "mean": ("mean", "mean_si", "signal", "si"),
    "sd": ("sd", "std", "stdev", "standard_deviation"),
    "n_pixels": ("n_pixels", "pixels", "n", "pixel_count"),
    "area_mm2": ("area_mm2", "area"),
}


@dataclass(frozen=True)
class RegionLine:
    volunteer: str
    arm: str
    tissue: str
    mean: float
    sd: float
    n_pixels: int
    area_mm2: float


@dataclass(frozen=True)
class RegionTable:
    """A checked table; `notes` say what is worth knowing and no fault.

    `headings` are pairs of our column and the heading of the file that was taken for it.
    """

    file: str
    sha256: str
    lines: Sequence[RegionLine]
    notes: Sequence[str]
    headings: Sequence[tuple[str, str]] = ()

    @property
    def volunteers(self) -> list[str]:
        return sorted({line.volunteer for line in self.lines})


def check_import_regions(
    study: Study, actor: User | None, file: TableFile
) -> tuple[RegionTable, list[Fault]]:
    """Read and check a table of measurements: the rows that are right, and every fault."""
    require_role(actor, study, Role.COORDINATOR)
    check_not_locked(study)
    faults: list[Fault] = []
    sha256 = hashlib.sha256(file.content).hexdigest()
    table = read_table(file, COLUMNS, faults)
    if table is None:
        return RegionTable(file.name, sha256, (), ()), faults
    arms = known_names(*study.arms.values_list("code", "name"))
    tissues = known_names(*study.tissues.values_list("code", "name"))
    air = set(study.tissues.filter(purpose=Tissue.Purpose.AIR).values_list("code", flat=True))
    present = set(
        Measurement.objects.filter(volunteer__study=study).values_list(
            "volunteer__code", "arm__code", "tissue__code"
        )
    )
    lines: list[RegionLine] = []
    seen: dict[tuple[str, ...], int] = {}
    for row in table.rows:
        line = _line(RowCheck(table, row, faults), arms, tissues, air)
        if line is None:
            continue
        key = (line.volunteer, line.arm, line.tissue)
        twice = duplicate(table, row, key, seen)
        if twice:
            faults.append(twice)
        elif key in present:
            message = f"{', '.join(key)} is already measured in this study: leave the line out."
            faults.append(Fault(file.name, row.line, "", message))
        else:
            lines.append(line)
    notes = table_notes(table, lines, ("volunteer", "arm", "tissue"))
    return RegionTable(file.name, sha256, lines, notes, table.headings), faults


def _line(
    check: RowCheck, arms: Mapping[str, str], tissues: Mapping[str, str], air: set[str]
) -> RegionLine | None:
    before = len(check.faults)
    volunteer = check.code("case", 30)
    arm = check.known("sequence", arms, "arm")
    tissue = check.known("roi", tissues, "tissue")
    mean, sd, area = check.number("mean"), check.number("sd"), check.number("area_mm2")
    n_pixels = check.whole("n_pixels", 2, 2**31 - 1, "Give the number of pixels, 2 or more.")
    if sd is not None and sd < 0:
        check.fault("sd", "A standard deviation cannot be negative.")
    if sd == 0 and tissue in air:
        check.fault(
            "sd",
            "The SD of the air is zero, so no SNR can be computed: the background was masked or "
            "clipped. Measure it where there is noise.",
        )
    if area is not None and area <= 0:
        check.fault("area_mm2", "An area is greater than zero.")
    if len(check.faults) > before or mean is None or sd is None or area is None or not n_pixels:
        return None
    return RegionLine(volunteer, arm, tissue, mean, sd, n_pixels, area)


@transaction.atomic
def do_import_regions(
    study: Study, actor: User | None, table: RegionTable, volunteers: Mapping[str, Volunteer]
) -> int:
    """Write a checked table; returns the number of measurements.

    Hold the study's row (`lock_study`). `volunteers` holds every one that the table names.
    """
    require_role(actor, study, Role.COORDINATOR)
    check_not_locked(study)
    arms = {arm.code: arm for arm in study.arms.all()}
    tissues = {tissue.code: tissue for tissue in study.tissues.all()}
    Measurement.objects.bulk_create(
        [
            Measurement(
                volunteer=volunteers[line.volunteer],
                arm=arms[line.arm],
                tissue=tissues[line.tissue],
                origin=Measurement.Origin.IMPORTED,
                n_pixels=line.n_pixels,
                mean=line.mean,
                sd=line.sd,
                area_mm2=line.area_mm2,
            )
            for line in table.lines
        ],
        batch_size=1000,
    )
    record(
        "measurements.regions.imported",
        actor,
        study_id=study.pk,
        subject=study,
        new={
            "file": table.file,
            "sha256": table.sha256,
            "measurements": len(table.lines),
            "volunteers": len(table.volunteers),
        },
    )
    return len(table.lines)
