"""The bar charts of a validation paper: SNR and CNR by tissue (Figure 3), scores (Figure 4).

Figures are drawn with matplotlib's object interface, without pyplot's global state, and leave as
bytes that are the same for the same results.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figure_style import (
    HATCHES,
    PALETTE,
    ImageFormat,
    arm_handles,
    bare,
    drawing,
    figure_bytes,
    note_lines,
    wrapped,
)
from analysis.plan import AnalysisPlan
from analysis.run import Results
from analysis.tables import format_q, label_of

__all__ = ["ImageFormat", "figure_3", "figure_4"]

_BAR_SPAN = 0.84


def figure_3(
    results: Results,
    labels: Mapping[str, str] | None = None,
    *,
    image_format: ImageFormat = "svg",
    note: str = "",
) -> bytes:
    """Figure 3: mean SNR and CNR by tissue and arm, with SD and the significant q values.

    Parameters
    ----------
    results : Results
    labels : mapping of str to str, optional
        Names for codes of arms and tissues; masked arms get their letters here.
    image_format : {"svg", "png", "pdf"}
        PNG has 300 dots an inch.
    note : str
        Shown below, for example "Simulated acceleration".

    Returns
    -------
    bytes
        The same for the same results: no dates, fixed identifiers.

    Raises
    ------
    ValueError
        If the results hold no SNR.

    Examples
    --------
    >>> from analysis.example import example_study
    >>> from analysis.run import run_plan
    >>> study = example_study()
    >>> figure_3(run_plan(pd.DataFrame(), study.regions, study.plan), image_format="png")[1:4]
    b'PNG'
    """
    metrics = [name for name in ("SNR", "CNR") if (results.tests["metric"] == name).any()]
    if not metrics:
        raise ValueError("There are no region measurements to draw.")
    with drawing():
        figure = Figure(figsize=(7.2, 3.5 * len(metrics) + 0.7))
        panels = figure.subplots(len(metrics), 1, squeeze=False)[:, 0]
        for axes, metric in zip(panels, metrics, strict=True):
            _panel(axes, results, metric, labels)
            axes.set_ylabel(metric)
        _finish(figure, results, labels, note)
        return figure_bytes(figure, image_format)


def figure_4(
    results: Results,
    labels: Mapping[str, str] | None = None,
    *,
    image_format: ImageFormat = "svg",
    note: str = "",
) -> bytes:
    """Figure 4: mean score by criterion and arm, with SD and the significant q values.

    Parameters
    ----------
    results : Results
    labels : mapping of str to str, optional
        Names for codes of arms and criteria.
    image_format : {"svg", "png", "pdf"}
    note : str
        Shown below.

    Returns
    -------
    bytes

    Raises
    ------
    ValueError
        If the results hold no scores, or each reader was analysed alone.

    Examples
    --------
    >>> from analysis.example import example_study
    >>> from analysis.run import run_plan
    >>> study = example_study()
    >>> figure_4(run_plan(study.scores, pd.DataFrame(), study.plan), image_format="pdf")[:4]
    b'%PDF'
    """
    if not (results.tests["metric"] == "score").any():
        raise ValueError("There are no scores to draw.")
    if results.plan.reader_summary == "each":
        raise ValueError("Figure 4 shows scores over the readers; the plan keeps them apart.")
    with drawing():
        figure = Figure(figsize=(7.2, 4.2))
        axes = figure.subplots()
        _panel(axes, results, "score", labels)
        axes.set_ylabel("Score")
        limits = results.plan.score_range
        if limits is not None:
            axes.set_yticks(np.arange(limits[0], limits[1] + 1))
            axes.set_ylim(bottom=min(0.0, limits[0]))
        _finish(figure, results, labels, note)
        return figure_bytes(figure, image_format)


def _panel(axes: Axes, results: Results, metric: str, labels: Mapping[str, str] | None) -> None:
    """Grouped bars: one group a table row, one bar an arm, brackets above."""
    plan = results.plan
    cells = results.descriptives[results.descriptives["metric"] == metric]
    rows = list(dict.fromkeys(cells["row"]))
    tables = {
        name: cells.pivot(index="row", columns="arm", values=name).reindex(
            index=rows, columns=list(plan.arms)
        )
        for name in ("mean", "sd")
    }
    mean = tables["mean"].to_numpy(dtype=np.float64)
    sd = np.nan_to_num(tables["sd"].to_numpy(dtype=np.float64))
    width = _BAR_SPAN / len(plan.arms)
    offsets = (np.arange(len(plan.arms)) - (len(plan.arms) - 1) / 2) * width
    for arm in range(len(plan.arms)):
        axes.bar(
            np.arange(len(rows)) + offsets[arm],
            mean[:, arm],
            width * 0.94,
            yerr=sd[:, arm],
            color=PALETTE[arm % len(PALETTE)],
            hatch=HATCHES[arm % len(HATCHES)],
            edgecolor="black",
            linewidth=0.5,
            error_kw={"elinewidth": 0.6, "capsize": 1.6, "capthick": 0.6},
        )
    tops = np.nan_to_num(mean + sd).clip(min=0)
    step = float(tops.max()) * 0.075 or 1.0
    highest = max(
        _brackets(
            axes, _significant(results, metric, row), plan, index + offsets, tops[index], step
        )
        for index, row in enumerate(rows)
    )
    axes.set_xticks(np.arange(len(rows)), [wrapped(label_of(row, labels)) for row in rows])
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.55, len(rows) - 0.45)
    axes.set_ylim(top=highest + step * 0.6)
    axes.axhline(0, color="black", linewidth=0.6)
    bare(axes, "top", "right")


def _significant(results: Results, metric: str, row: str) -> pd.DataFrame:
    tests = results.tests
    return tests[(tests["metric"] == metric) & (tests["row"] == row) & tests["significant"]]


def _brackets(
    axes: Axes,
    tests: pd.DataFrame,
    plan: AnalysisPlan,
    positions: npt.NDArray[np.floating[Any]],
    tops: npt.NDArray[np.floating[Any]],
    step: float,
) -> float:
    """Stack the brackets of one group, short ones lowest; answers with the height reached."""
    place = {arm: number for number, arm in enumerate(plan.arms)}
    spans = [
        (min(place[test.a], place[test.b]), max(place[test.a], place[test.b]), float(test.q))
        for test in tests.itertuples()
    ]
    heights = [float(top) for top in tops]
    for first, last, q in sorted(spans, key=lambda span: (span[1] - span[0], span[0])):
        level = max(heights[first : last + 1]) + step * 0.45
        ends = [level, level + step * 0.22, level + step * 0.22, level]
        left, right = positions[first], positions[last]
        axes.plot([left, left, right, right], ends, color="black", linewidth=0.6)
        axes.text(
            (left + right) / 2,
            level + step * 0.25,
            format_q(q, plan.alpha),
            ha="center",
            va="bottom",
            fontsize=5.8,
        )
        for position in range(first, last + 1):
            heights[position] = level + step * 0.85
    return max(heights)


def _finish(figure: Figure, results: Results, labels: Mapping[str, str] | None, note: str) -> None:
    plan = results.plan
    handles = arm_handles(plan, labels)
    height = figure.get_figheight()
    figure.legend(
        handles=handles,
        loc="upper center",
        ncols=min(5, len(handles)),
        frameon=False,
        handlelength=1.6,
        columnspacing=1.4,
    )
    test = "exact" if plan.method == "exact" else "asymptotic"
    alpha = f"{plan.alpha:g}".removeprefix("0")
    text = (
        f"Bars: mean; error bars: SD; {_volunteers(results)}. Brackets: q ≤ {alpha} "
        f"(Wilcoxon signed-rank, {test}; Benjamini–Hochberg over each {_FAMILY[plan.family]})."
    )
    said = note_lines("\n".join(filter(None, (text, note))), figure.get_figwidth())
    figure.text(0.5, 0.06 / height, said, ha="center", fontsize=6.5)
    bottom = (0.08 + 0.12 * len(said.splitlines())) / height
    figure.tight_layout(rect=(0, bottom, 1, 1 - 0.35 / height))


def _volunteers(results: Results) -> str:
    """How many volunteers a bar stands for: one number, or the range where some lack values."""
    counts = results.descriptives["n"]
    low, high = int(counts.min()), int(counts.max())
    return f"n = {high} volunteers" if low == high else f"n = {low} to {high} volunteers"


_FAMILY = {"row": "row", "column": "column", "stage": "stage", "all": "study"}
