"""How well readers agree with their own repeats: hidden ones, and later occasions.

They enter no other result. Both readings are of the same volunteer and arm, so all arms are taken
together and none is named.
"""

from __future__ import annotations

import pandas as pd

from analysis import cohen_kappa, repeatability
from analysis.estimates import Estimate
from readerstudy.reading.frames import second_rows
from readerstudy.reports.report import Report
from readerstudy.studies.models import Study

from .listing import Column, ListCell, ListTable
from .lists import rounded

_KEYS = ["reader", "volunteer", "arm", "criterion"]


def repeats_list(study: Study, report: Report) -> ListTable | None:
    """One line a criterion and reader; None where nothing was read twice."""
    again = pd.DataFrame(second_rows(study))
    first = report.frames[0]
    if again.empty or first.empty or "score" not in again.columns:
        return None
    again = again[again["score"].notna()]
    if report.is_masked:
        again = again.assign(arm=again["arm"].map(study.arm_letters))
    kinds = {
        "hidden repeat": again[(again["purpose"] == "repeat") & (again["occasion"] == 1)],
        "later occasion": again[again["occasion"] > 1],
    }
    rows = []
    for kind, part in kinds.items():
        # Of several later readings the next one: one pair a case.
        second = part.sort_values(["occasion", "position"]).drop_duplicates(_KEYS)
        both = first[[*_KEYS, "score"]].merge(
            second[[*_KEYS, "score"]], on=_KEYS, suffixes=("", "_again")
        )
        for criterion in report.plan.criteria:
            for reader in report.readers:
                own = both[(both["criterion"] == criterion) & (both["reader"] == reader)]
                if len(own):
                    rows.append(_line(report, criterion, reader, kind, own))
    if not rows:
        return None
    columns = [
        Column("Criterion", False),
        Column("Reader", False),
        Column("Read again as", False),
        Column("Pairs (n)"),
        Column("Identical"),
        Column("Within one point"),
        Column("Repeatability coefficient (95 %)"),
        Column("Weighted kappa (95 %)"),
    ]
    legend = [
        "First against second reading of the same volunteer and arm, all arms together. "
        "Repeatability coefficient: 1.96 √2 × the within-subject SD, in points; kappa: Cohen's, "
        "quadratic weights, intervals by bootstrap over whole volunteers. Estimates: no test, so "
        "no family and no α. Repeats and later occasions enter no other table."
    ]
    return ListTable(
        "repeats", "Repeats: each reader's second reading against the first", columns, rows, legend
    )


def _line(
    report: Report, criterion: str, reader: str, kind: str, own: pd.DataFrame
) -> list[ListCell]:
    own = own.sort_values(["volunteer", "arm"])
    apart = (own["score"] - own["score_again"]).abs()
    readings = own[["score", "score_again"]].to_numpy(dtype=float)
    limits = report.plan.score_range
    points = [float(p) for p in range(int(limits[0]), int(limits[1]) + 1)] if limits else None
    try:
        kappa = _text(
            cohen_kappa(
                readings[:, 0],
                readings[:, 1],
                "quadratic",
                categories=points,
                clusters=own["volunteer"].astype(str).to_numpy(),
            )
        )
    except ValueError:  # one point alone was given: kappa does not exist
        kappa = "–"
    return [
        ListCell(report.row_names[criterion]),
        ListCell(reader),
        ListCell(kind),
        ListCell(str(len(own))),
        ListCell(_share(float((apart == 0).mean()))),
        ListCell(_share(float((apart <= 1).mean()))),
        ListCell(_text(repeatability(readings).coefficient)),
        ListCell(kappa),
    ]


def _share(value: float) -> str:
    return f"{100 * value:.0f} %"


def _text(found: Estimate) -> str:
    if found.interval is None:
        return f"{rounded(found.value)} (no interval)"
    return (
        f"{rounded(found.value)} ({rounded(found.interval.low)} to {rounded(found.interval.high)})"
    )
