"""The paired differences to point at, and the mean differences that the margin is held against."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.figure_style import PALETTE
from analysis.tables import format_q
from readerstudy.reports.report import Report

from .chart_parts import Chart, Filters, letters, number, plan_sentence, two
from .lists import pair_text

# What the filter asks for to see the intervals of the decision.
MARGIN = "margin"


def differences(report: Report, filters: Filters) -> Chart:
    """Hodges-Lehmann shifts; where it is asked for, mean differences against the margin."""
    tests = report.results.tests
    tests = tests[tests["hodges_lehmann"].notna()]
    known = list(dict.fromkeys(zip(tests["metric"], tests["row"], strict=True)))
    rows = [
        (f"{m}:{r}", report.row_names[r] + ("" if m == "score" else f", {m}")) for m, r in known
    ]
    scored = [code for code, _ in rows if code.startswith("score:")]
    offered = list(rows)
    decided = not report.results.non_inferiority.empty
    if decided:
        offered.append((MARGIN, "Mean differences and the margin"))
        if filters.row == MARGIN:
            return _margin(report, offered)
    # Points of a scale and ratios share no axis: without a choice the scores are shown.
    chosen = filters.row if filters.row in dict(rows) else ""
    codes = [chosen] if chosen else scored or [code for code, _ in rows]
    groups, records = [], []
    for metric, row in known:
        if f"{metric}:{row}" not in codes:
            continue
        label = dict(rows)[f"{metric}:{row}"]
        points = []
        for test in tests[(tests["metric"] == metric) & (tests["row"] == row)].to_dict("records"):
            said = f"q {format_q(test['q'], report.plan.alpha)}"
            bounds = (test["hodges_lehmann_low"], test["hodges_lehmann_high"])
            points.append(_point(report, label, test, test["hodges_lehmann"], bounds, said))
            place = [label, pair_text(report, test["a"], test["b"]), *letters(report, test)]
            found = [test["n"], test["hodges_lehmann"], *bounds, test["p"], test["q"]]
            records.append([*place, *found])
        groups.append({"label": label, "points": points})
    columns = ["n", "hodges_lehmann", "low", "high", "p", "q"]
    metrics = tuple({code.partition(":")[0] for code in codes})
    elsewhere = ""
    if decided:
        elsewhere = (
            " The margin of non-inferiority is held against the mean differences: choose "
            "“Mean differences and the margin”."
        )
    legend = [
        "Points: median of the paired differences (Hodges–Lehmann); lines: exact 95 % intervals; "
        f"hollow: too few pairs for one. n: volunteers with a value in both arms.{elsewhere}",
        plan_sentence(report, metrics),
    ]
    spec = _spec(report, "Hodges–Lehmann shift, second minus first", groups, [])
    frame = pd.DataFrame(records, columns=[*_place_columns(report), *columns])
    return Chart("", spec, frame, legend, ("row",), offered)


def _margin(report: Report, offered: list[tuple[str, str]]) -> Chart:
    """The intervals that decide, with the margin; both ways round where letters drew the order."""
    plan, found = report.plan, report.results.non_inferiority
    groups, records = [], []
    for (row, reader), part in found.groupby(["row", "reader"], sort=False):
        label = report.row_names[str(row)] + (f", {reader}" if reader else "")
        points = []
        for one in part.to_dict("records"):
            bounds = (one["low"], one["high"])
            said = "; ".join(decisions(report, one))
            points.append(_point(report, label, one, one["difference"], bounds, said))
            place = [label, pair_text(report, one["a"], one["b"]), *letters(report, one)]
            records.append([*place, one["n"], one["difference"], *bounds, one["margin"], said])
        groups.append({"label": label, "points": points})
    margin = float(plan.margin or 0)
    margins = [-margin, margin] if report.is_masked else [-margin]
    legend = [
        f"Points: mean differences; lines: {100 * (1 - plan.alpha):g} % intervals (expanded "
        "percentile bootstrap over volunteers), which decide non-inferiority (Table 5). Dashed: "
        f"the margin, {'±' if report.is_masked else '−'}{margin:g} score points. No family: each "
        "decision stands alone."
    ]
    spec = _spec(report, "Mean difference, second minus first", groups, margins)
    columns = [*_place_columns(report), "n", "mean_difference", "low", "high", "margin", "decision"]
    frame = pd.DataFrame(records, columns=columns)
    return Chart("", spec, frame, legend, ("row",), offered)


def decisions(report: Report, row: dict[Any, Any]) -> list[str]:
    """What the interval decides: of the second arm, and under letters of the first too."""
    a, b = report.arm_names[row["a"]], report.arm_names[row["b"]]
    if not report.is_masked:
        return ["non-inferior" if row["non_inferior"] else "not shown"]
    return [
        f"{b} to {a}: {'non-inferior' if row['non_inferior'] else 'not shown'}",
        f"{a} to {b}: {'non-inferior' if row['reverse_non_inferior'] else 'not shown'}",
    ]


def _point(
    report: Report,
    label: str,
    row: dict[Any, Any],
    value: float,
    bounds: tuple[float, float],
    said: str,
) -> dict[str, Any]:
    low, high = bounds
    interval = "no interval" if pd.isna(low) else f"95 % interval {two(low)} to {two(high)}"
    pair = pair_text(report, row["a"], row["b"])
    return {
        "series": report.plan.comparisons.index((row["a"], row["b"])),
        "value": number(value),
        "low": number(low),
        "high": number(high),
        "n": int(row["n"]),
        "text": f"{label}, {pair}: {two(value)}, {interval}, {said}, n = {row['n']}",
    }


def _place_columns(report: Report) -> list[str]:
    return ["row", "comparison", *([] if report.is_masked else ["letters"])]


def _spec(
    report: Report, axis: str, groups: list[dict[str, Any]], margins: list[float]
) -> dict[str, Any]:
    series = [
        {"label": pair_text(report, a, b), "colour": PALETTE[(at + 1) % len(PALETTE)]}
        for at, (a, b) in enumerate(report.plan.comparisons)
    ]
    return {
        "kind": "forest",
        "axis": axis,
        "zero": 0,
        "margins": margins,
        "series": series,
        "groups": groups,
    }
