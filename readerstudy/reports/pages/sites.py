"""Results by site: the same numbers as the tables', each site's volunteers by themselves."""

from __future__ import annotations

from analysis.tables import format_mean_sd
from readerstudy.reports.by_site import site_frame, values_by_volunteer
from readerstudy.reports.report import Report

from .listing import Column, ListCell, ListTable
from .lists import pair_letters, pair_text
from .people import arm_columns, change_cell, subjects


def site_list(report: Report) -> ListTable | None:
    """A line a row of the tables and site; None where nothing was scored or measured."""
    frame = site_frame(report)
    if frame.empty:
        return None
    values = values_by_volunteer(report)
    names = {one.code: one.name for one in subjects(report)}
    rows = []
    for (metric, row, site), group in frame.groupby(["metric", "row", "site"], sort=False):
        here = values[(values["metric"] == metric) & (values["row"] == row)]
        wide = here.pivot(index="volunteer", columns="arm", values="value").reindex(
            columns=list(report.plan.arms)
        )
        own = wide[[report.site_of.get(str(code)) == site for code in wide.index]].astype(float)
        by_arm = {line["arm"]: line for line in group.to_dict("records")}
        readers = group["readers"].dropna()
        rows.append(
            [
                ListCell(names.get(f"{metric}:{row}", str(row))),
                ListCell(report.sites.get(str(site), str(site))),
                ListCell(str(int(group["n"].max()))),
                ListCell(str(int(readers.max())) if len(readers) else "–"),
                *(_value(by_arm.get(arm)) for arm in report.plan.arms),
                *(change_cell(own[a], own[b]) for a, b in report.plan.comparisons),
            ]
        )
    columns = [
        Column("Row", False),
        Column("Site", False),
        Column("Volunteers"),
        Column("Readers"),
        *arm_columns(report),
        *(
            Column(
                pair_text(report, a, b),
                letter="" if report.is_masked else pair_letters(report, a, b),
            )
            for a, b in report.plan.comparisons
        ),
    ]
    legend = [
        "Mean ± SD (divisor n − 1) over each site's volunteers; the median stands with each value. "
        "Comparisons: mean difference, second minus first, and in how many volunteers the second "
        "was higher / equal / lower. Descriptive: no test, no family, no α. Readers who read one "
        "site alone count for that site alone."
    ]
    return ListTable("sites", "Results by site", columns, rows, legend)


def _value(cell: dict[str, object] | None) -> ListCell:
    if cell is None:
        return ListCell("–")
    mean, sd, median = (float(str(cell[name])) for name in ("mean", "sd", "median"))
    exact = f"n = {cell['n']}, mean {mean!r}, SD {sd!r}, median {median!r}"
    return ListCell(format_mean_sd(mean, sd), exact=exact)
