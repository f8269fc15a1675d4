"""The data of a study as one canonical document, and the tables that the analysis takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.input_frames import REGION_COLUMNS, SCORE_COLUMNS
from analysis.preference_input import CHOICE_COLUMNS, RANKING_COLUMNS
from readerstudy.conduct.acquisition import acquisition_rows
from readerstudy.measurements.selectors import region_rows
from readerstudy.reading.frames import (
    ReaderProgress,
    primary_items,
    primary_rows,
    progress,
    scores_frame,
)
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Study
from readerstudy.studies.protocol import protocol_of

FORMAT = "readerstudy data 1"
# How many pixels of a region are zero or clipped: what the warnings of an arm rest on.
PIXEL_COUNTS = ("n_zero", "n_at_limits")
_REGION_COLUMNS = (*REGION_COLUMNS, *PIXEL_COUNTS)
Document = dict[str, Any]


def data_of(study: Study) -> Document:
    """Everything that the results rest on: arms with names and letters, scores, measurements.

    Primary scores only; rows in a fixed order, so that the same data give the same text and hash.
    """
    protocol = study.protocol or protocol_of(study)
    arms = [arm["code"] for arm in protocol["arms"]]
    if set(study.arm_letters) != set(arms):
        raise StudyError(
            "The arms have no letters yet: they are drawn when the study is launched, or when its "
            "scores are imported."
        )
    return {
        "format": FORMAT,
        "study": {
            "slug": study.slug,
            "title": study.title,
            "notice": study.notice,
            "credits": study.credits,
            "protocol_sha256": study.protocol_sha256,
        },
        "arms": [
            {
                "code": arm["code"],
                "name": arm["name"],
                "letter": study.arm_letters[arm["code"]],
                "kind": arm["kind"],
                "is_control": arm["is_control"],
            }
            for arm in protocol["arms"]
        ],
        "criteria": [{"code": c["code"], "name": c["name"]} for c in protocol["criteria"]],
        "tissues": [
            {"code": t["code"], "name": t["name"], "purpose": t["purpose"]}
            for t in protocol["tissues"]
        ],
        "score_columns": list(SCORE_COLUMNS),
        "scores": _rows(scores_frame(study), SCORE_COLUMNS, 4),
        "region_columns": list(_REGION_COLUMNS),
        "regions": _rows(analysed_regions(study), _REGION_COLUMNS, 3),
        "never_submitted": unsubmitted_items(study),
        "acquisition": acquisition_rows(study),
        **_preferences(study, protocol),
        **_sites(study, protocol),
    }


def _sites(study: Study, protocol: Document) -> Document:
    """Which volunteer and which local reader belongs to which site; nothing without sites."""
    if not protocol.get("sites"):
        return {}
    placed = study.volunteers.filter(site__isnull=False).order_by("code")
    return {
        "sites": [{"code": site["code"], "name": site["name"]} for site in protocol["sites"]],
        "volunteer_sites": dict(placed.values_list("code", "site__code")),
        "reader_sites": protocol["local_readers"],
    }


def _preferences(study: Study, protocol: Document) -> Document:
    """Mode and answers, where the protocol asks for something else than the paper's scores."""
    mode = protocol["reading"].get("mode", Study.ReadingMode.RELATIVE)
    if mode == Study.ReadingMode.ABSOLUTE:
        return {"mode": mode}
    if mode == Study.ReadingMode.CHOICE:
        return {
            "mode": mode,
            "choice_columns": list(CHOICE_COLUMNS),
            "choices": _rows(primary_rows(study), CHOICE_COLUMNS, 5),
        }
    if mode == Study.ReadingMode.RANKING:
        return {
            "mode": mode,
            "ranking_columns": list(RANKING_COLUMNS),
            "rankings": _rows(primary_rows(study), RANKING_COLUMNS, 4),
        }
    return {}


def masked_data(data: Document) -> Document:
    """The same data with letters for arms, ordered by letter: it names no arm anywhere.

    Counts of zero and clipped pixels are left out: a reconstruction that masks the air shows there.
    """
    letters = {arm["code"]: arm["letter"] for arm in data["arms"]}
    masked = {
        **data,
        "arms": [
            {"code": letter, "name": letter, "letter": letter}
            for letter in sorted(letters.values())
        ],
    }
    for table, keys in (("scores", 4), ("regions", 3)):
        rows = [[row[0], letters[row[1]], *row[2:]] for row in data[table]]
        masked[table] = sorted(rows, key=lambda row: row[:keys])
    _mask_preferences(masked, letters)
    kept = len(REGION_COLUMNS)
    masked["region_columns"] = masked["region_columns"][:kept]
    masked["regions"] = [row[:kept] for row in masked["regions"]]
    # Table 1 tells which arm is which.
    masked.pop("acquisition", None)
    # The protocol's hash covers the arms' order: nothing of it is needed here.
    masked["study"] = {k: v for k, v in data["study"].items() if k != "protocol_sha256"}
    return masked


def _mask_preferences(masked: Document, letters: dict[str, str]) -> None:
    """Letters in forced choices and ranks, in place; of a pair the earlier letter comes first."""
    if "choices" in masked:
        rows = []
        for volunteer, reader, criterion, first, second, chosen in masked["choices"]:
            pair = sorted((letters[first], letters[second]))
            chosen_letter = letters[chosen] if chosen else None
            rows.append([volunteer, reader, criterion, *pair, chosen_letter])
        masked["choices"] = sorted(rows, key=lambda row: row[:5])
    if "rankings" in masked:
        rows = [
            [volunteer, reader, criterion, letters[arm], rank]
            for volunteer, reader, criterion, arm, rank in masked["rankings"]
        ]
        masked["rankings"] = sorted(rows, key=lambda row: row[:4])


def preference_frames(data: Document) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
    """Forced choices and rankings as `analysis.run_plan` takes them; None where there are none."""
    choices = rankings = None
    if "choices" in data:
        choices = pd.DataFrame(data["choices"], columns=data["choice_columns"])
    if "rankings" in data:
        rankings = pd.DataFrame(data["rankings"], columns=data["ranking_columns"])
    return choices, rankings


def frames_of(data: Document) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores and regions as `analysis.run_plan` takes them."""
    return (
        pd.DataFrame(data["scores"], columns=data["score_columns"]),
        pd.DataFrame(data["regions"], columns=data["region_columns"]),
    )


def _rows(records: list[dict[str, Any]], columns: tuple[str, ...], keys: int) -> list[list[Any]]:
    rows = [[record[column] for column in columns] for record in records]
    return sorted(rows, key=lambda row: row[:keys])


def unsubmitted_items(study: Study) -> int:
    """Primary items of the first occasion that were never submitted: their scores do not count."""
    return primary_items(study).filter(submitted_at__isnull=True).count()


def analysed_regions(study: Study) -> list[dict[str, Any]]:
    """The measurements of the analysis: volunteers that serve practice alone have none."""
    practice = set(study.practice_volunteers)
    return [row for row in region_rows(study) if row["volunteer"] not in practice]


@dataclass(frozen=True)
class Progress:
    """How far a study is; figures of progress, never of scores."""

    readers: list[ReaderProgress]
    submitted: int
    total: int
    measurements: int


def progress_of(study: Study) -> Progress:
    readers = progress(study)
    return Progress(
        readers=readers,
        submitted=sum(reader.submitted for reader in readers),
        total=sum(reader.total for reader in readers),
        measurements=len(analysed_regions(study)),
    )
