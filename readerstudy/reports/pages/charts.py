"""Figures to point at: the numbers that a page draws, with a table of the same numbers.

A chart is drawn by the page's script from `spec`; `frame` holds the same numbers for the table
beside it and for its CSV. What is filtered is descriptive: tests are the plan's, over all readers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from analysis import bland_altman
from analysis.figure_style import PALETTE
from analysis.tables import format_mean_sd, format_q
from readerstudy.reports.report import Report
from readerstudy.reports.wording import alpha_text

from .chart_parts import Chart, Filters, letters, number, plan_sentence, two
from .differences import differences
from .lists import pair_text
from .people import Subject, values_of

_SCALE_COLOURS = ("#00224E", "#434E6C", "#7D7C78", "#BCAF6F", "#FEE838")


TITLES = {
    "figure3": "Figure 3. SNR and CNR by tissue",
    "figure4": "Figure 4. Scores by criterion",
    "scores": "Share of each score",
    "differences": "Paired differences",
    "bland_altman": "Bland–Altman, SNR",
    "choices": "Forced choices",
    "ranking": "Mean ranks",
}


def chart(report: Report, name: str, filters: Filters) -> Chart:
    """The chart of a figure that the report has."""
    return _MAKERS[name](report, filters)


def _arm(report: Report, at: int) -> dict[str, Any]:
    code = report.plan.arms[at]
    letter = "" if report.is_masked else f" ({report.letters[code]})"
    name = f"Arm {code}" if report.is_masked else report.arm_names[code]
    return {"label": f"{name}{letter}", "colour": PALETTE[at % len(PALETTE)]}


def _legend(report: Report) -> list[dict[str, Any]]:
    return [_arm(report, at) for at in range(len(report.plan.arms))]


# --- Bars -----------------------------------------------------------------------------------------


def _bars(report: Report, filters: Filters, metrics: tuple[str, ...]) -> Chart:
    cells = report.results.descriptives
    cells = cells[cells["metric"].isin(metrics)]
    known = list(dict.fromkeys(zip(cells["metric"], cells["row"], strict=True)))
    codes = {f"{metric}:{row}" for metric, row in known}
    chosen = filters.row if filters.row in codes else ""
    groups, records = [], []
    for metric, row in known:
        if chosen and f"{metric}:{row}" != chosen:
            continue
        label = report.row_names[row] + ("" if metric == "score" else f", {metric}")
        bars = []
        for at, arm in enumerate(report.plan.arms):
            n, mean, sd = _cell(report, cells, (metric, row, arm), filters.reader)
            text = f"{label}, {_arm(report, at)['label']}: {format_mean_sd(mean, sd, 2)}, n = {n}"
            bars.append({"arm": at, "value": number(mean), "spread": number(sd), "text": text})
            records.append([label, *_arm_cells(report, arm), n, mean, sd])
        brackets = [] if filters.reader else _brackets(report, metric, row)
        axis = "Score" if metric == "score" else metric
        name = report.row_names[row]
        groups.append({"label": name, "axis": axis, "bars": bars, "brackets": brackets})
    frame = pd.DataFrame(records, columns=["row", *_arm_names(report), "n", "mean", "sd"])
    spec: dict[str, Any] = {"kind": "bars", "arms": _legend(report), "groups": groups}
    limits = report.plan.score_range
    if metrics == ("score",) and limits:
        spec["top"] = limits[1]
    legend = ["Bars: mean; lines: SD (divisor n − 1)."]
    if filters.reader:
        legend[0] += f" Scores of {filters.reader} alone: descriptive, without tests."
    else:
        legend[0] += f" Brackets: q ≤ {alpha_text(report.plan.alpha)}."
        legend.append(plan_sentence(report, metrics))
    rows = [
        (f"{m}:{r}", report.row_names[r] + ("" if m == "score" else f", {m}")) for m, r in known
    ]
    offers = ("row", "reader") if metrics == ("score",) else ("row",)
    return Chart("", spec, frame, legend, offers, rows)


def _cell(
    report: Report, cells: pd.DataFrame, place: tuple[str, str, str], reader: str
) -> tuple[int, float, float]:
    metric, row, arm = place
    if reader:
        given = values_of(report, Subject("score", row, ""), reader)[arm].dropna()
        spread = float(given.std(ddof=1)) if len(given) > 1 else float("nan")
        return len(given), float(given.mean()) if len(given) else float("nan"), spread
    own = cells[(cells["metric"] == metric) & (cells["row"] == row) & (cells["arm"] == arm)]
    cell = own.iloc[0]
    return int(cell["n"]), float(cell["mean"]), float(cell["sd"])


def _brackets(report: Report, metric: str, row: str) -> list[dict[str, Any]]:
    tests = report.results.tests
    own = tests[(tests["metric"] == metric) & (tests["row"] == row) & tests["significant"]]
    place = {arm: at for at, arm in enumerate(report.plan.arms)}
    return [
        {
            "from": min(place[test["a"]], place[test["b"]]),
            "to": max(place[test["a"]], place[test["b"]]),
            "label": format_q(test["q"], report.plan.alpha),
        }
        for test in own.to_dict("records")
    ]


def _figure_3(report: Report, filters: Filters) -> Chart:
    metrics = tuple(m for m in ("SNR", "CNR") if (report.results.tests["metric"] == m).any())
    return _bars(report, filters, metrics)


def _figure_4(report: Report, filters: Filters) -> Chart:
    return _bars(report, filters, ("score",))


# --- Shares ---------------------------------------------------------------------------------------


def _scores(report: Report, filters: Filters) -> Chart:
    scores = report.frames[0]
    known = scores[scores["score"].notna()]
    if filters.reader:
        known = known[known["reader"] == filters.reader]
    limits = report.plan.score_range
    points = sorted(
        set(known["score"]) | (set(np.arange(limits[0], limits[1] + 1)) if limits else set())
    )
    places = np.linspace(0, len(_SCALE_COLOURS) - 1, len(points)).round().astype(int)
    rows = [(f"score:{code}", report.row_names[code]) for code in report.plan.criteria]
    chosen = filters.row if filters.row in {code for code, _ in rows} else ""
    groups, records = [], []
    for code in report.plan.criteria:
        if chosen and chosen != f"score:{code}":
            continue
        label, lines = report.row_names[code], []
        for at, arm in enumerate(report.plan.arms):
            own = known[(known["criterion"] == code) & (known["arm"] == arm)]["score"]
            parts = []
            for point in points:
                count = int((own == point).sum())
                share = count / len(own) if len(own) else 0.0
                text = (
                    f"{label}, {_arm(report, at)['label']}: {count} of {len(own)} scores are "
                    f"{point:g} ({100 * share:.0f} %)"
                )
                parts.append({"share": share, "count": count, "text": text})
                records.append([label, *_arm_cells(report, arm), point, count, len(own), share])
            lines.append({"label": _arm(report, at)["label"], "parts": parts})
        groups.append({"label": label, "lines": lines})
    frame = pd.DataFrame(
        records, columns=["row", *_arm_names(report), "score", "count", "n", "share"]
    )
    spec = {
        "kind": "stack",
        "points": [
            {"label": f"{point:g}", "colour": _SCALE_COLOURS[place], "dark": bool(place <= 2)}
            for point, place in zip(points, places, strict=True)
        ],
        "groups": groups,
    }
    whose = (
        f"{filters.reader}'s scores" if filters.reader else f"{known['reader'].nunique()} readers"
    )
    legend = [
        f"{whose} in {known['volunteer'].nunique()} volunteers, first reading. Descriptive: no "
        "test, no family, no α."
    ]
    return Chart("", spec, frame, legend, ("row", "reader"), rows)


# --- Estimates with intervals ---------------------------------------------------------------------


def _choices(report: Report, filters: Filters) -> Chart:
    found = report.results.choices
    groups, records = [], []
    for criterion, part in found.groupby("criterion", sort=False):
        label, points = report.row_names[str(criterion)], []
        for row in part.to_dict("records"):
            pair = pair_text(report, row["a"], row["b"]) + (
                f", {row['reader']}" if row["reader"] else ""
            )
            text = (
                f"{label}, {pair}: the second was chosen in {row['chosen_b']:g} of {row['n']:g} "
                f"volunteers, q {format_q(row['q'], report.plan.alpha)}"
            )
            at = report.plan.comparisons.index((row["a"], row["b"]))
            values = {name: number(row[name]) for name in ("low", "high")}
            points.append({"series": at, "value": number(row["share_b"]), **values, "text": text})
            records.append(
                [
                    label,
                    pair,
                    *letters(report, row),
                    row["n"],
                    row["share_b"],
                    row["low"],
                    row["high"],
                    row["p"],
                    row["q"],
                ]
            )
        groups.append({"label": label, "points": points})
    columns = ["row", "comparison", *([] if report.is_masked else ["letters"])]
    columns += ["n", "share_of_second", "low", "high", "p", "q"]
    series = [
        {"label": pair_text(report, a, b), "colour": PALETTE[(at + 1) % len(PALETTE)]}
        for at, (a, b) in enumerate(report.plan.comparisons)
    ]
    spec = {
        "kind": "forest",
        "axis": "Share of volunteers for the second",
        "zero": 0.5,
        "margins": [],
    }
    legend = [
        "Points: share of the volunteers in which the second was preferred; lines: 95 % intervals "
        f"(Clopper–Pearson). p: exact binomial; q: Benjamini–Hochberg, α = "
        f"{alpha_text(report.plan.alpha)}."
    ]
    return Chart(
        "",
        {**spec, "series": series, "groups": groups},
        pd.DataFrame(records, columns=columns),
        legend,
        (),
    )


def _ranking(report: Report, filters: Filters) -> Chart:
    found = report.results.rankings
    means = found[(found["a"] == "") & (found["b"] != "")]
    groups, records = [], []
    for criterion, part in means.groupby("criterion", sort=False):
        label, points = report.row_names[str(criterion)], []
        for row in part.to_dict("records"):
            at = report.plan.arms.index(row["b"])
            name = _arm(report, at)["label"]
            text = f"{label}, {name}: mean rank {two(row['value'])}, n = {row['n']}"
            points.append(
                {
                    "series": at,
                    "value": number(row["value"]),
                    "low": number(row["low"]),
                    "high": number(row["high"]),
                    "text": text,
                }
            )
            records.append(
                [
                    label,
                    *_arm_cells(report, row["b"]),
                    row["n"],
                    row["value"],
                    row["low"],
                    row["high"],
                ]
            )
        groups.append({"label": label, "points": points})
    columns = ["row", *_arm_names(report), "n", "mean_rank", "low", "high"]
    spec: dict[str, Any] = {
        "kind": "forest",
        "axis": "Mean rank (1 is the best)",
        "zero": None,
        "margins": [],
    }
    legend = ["Mean ranks over the volunteers with 95 % intervals. Tests: Table 8."]
    return Chart(
        "",
        {**spec, "series": _legend(report), "groups": groups},
        pd.DataFrame(records, columns=columns),
        legend,
        (),
    )


# --- Two arms against each other ------------------------------------------------------------------


def _bland_altman(report: Report, filters: Filters) -> Chart:
    """One point a volunteer: the mean SNR over the tissues in both arms."""
    derived = report.results.derived
    snr = derived[derived["metric"] == "SNR"]
    table = snr.pivot(index="volunteer", columns=["arm", "tissue"], values="value")
    arms = set(table.columns.get_level_values("arm"))
    means = {arm: table[arm].mean(axis=1, skipna=False) for arm in report.plan.arms if arm in arms}
    panels, records = [], []
    for a, b in report.plan.comparisons:
        if filters.pair and filters.pair != f"{a} v {b}":
            continue
        if a not in means or b not in means:
            continue
        both = pd.DataFrame({"a": means[a], "b": means[b]}).dropna()
        if len(both) < 2:
            continue
        limits = bland_altman(both["b"], both["a"])
        title = pair_text(report, a, b)
        points = []
        for code, row in both.iterrows():
            middle, apart = (row["a"] + row["b"]) / 2, row["b"] - row["a"]
            text = f"{code}: mean {middle:.4g}, difference {apart:+.4g}".replace("-", "−")
            strong = str(code) == filters.volunteer
            points.append({"x": float(middle), "y": float(apart), "text": text, "strong": strong})
            records.append(
                [
                    title,
                    *letters(report, {"a": a, "b": b}),
                    code,
                    row["a"],
                    row["b"],
                    middle,
                    apart,
                ]
            )
        lines = [
            {"value": float(found.value), "dashed": found is not limits.bias}
            for found in (limits.bias, limits.lower_limit, limits.upper_limit)
        ]
        panels.append({"title": f"{title} (n = {len(both)})", "points": points, "lines": lines})
    columns = ["comparison", *([] if report.is_masked else ["letters"])]
    columns += ["volunteer", "first", "second", "mean", "second_minus_first"]
    spec = {
        "kind": "scatter",
        "x": "Mean of both (SNR)",
        "y": "Second minus first (SNR)",
        "panels": panels,
    }
    legend = [
        "One point a volunteer: the mean SNR over the tissues. Lines: bias and limits of agreement "
        "(bias ± 1.96 SD). Descriptive: no test, no family, no α."
    ]
    return Chart("", spec, pd.DataFrame(records, columns=columns), legend, ("pair", "volunteer"))


def _arm_cells(report: Report, arm: str) -> list[str]:
    """The arm in the table of the numbers; after unblinding its letter in a column of its own."""
    return [arm] if report.is_masked else [report.arm_names[arm], report.letters[arm]]


def _arm_names(report: Report) -> list[str]:
    return ["arm"] if report.is_masked else ["arm", "letter"]


_MAKERS: dict[str, Callable[[Report, Filters], Chart]] = {
    "figure3": _figure_3,
    "figure4": _figure_4,
    "scores": _scores,
    "differences": differences,
    "bland_altman": _bland_altman,
    "choices": _choices,
    "ranking": _ranking,
}
