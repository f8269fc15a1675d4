"""Figures of forced choices (shares with intervals) and of rankings (mean ranks)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figure_style import (
    MARKERS,
    PALETTE,
    ImageFormat,
    bare,
    drawing,
    figure_bytes,
    figure_note,
    wrapped,
)
from analysis.run import Results
from analysis.tables import comparison_label, format_q, label_of


def figure_choices(
    results: Results,
    labels: Mapping[str, str] | None = None,
    *,
    image_format: ImageFormat = "svg",
    note: str = "",
) -> bytes:
    """Forced choice: the share for the second arm of each comparison, with its interval and q.

    Parameters
    ----------
    results : Results
        With forced choices.
    labels : mapping of str to str, optional
        Names for codes of arms and questions.
    image_format : {"svg", "png", "pdf"}
    note : str
        Shown below.

    Returns
    -------
    bytes

    Raises
    ------
    ValueError
        If there are no choices to draw.

    Examples
    --------
    >>> from analysis.example import example_study
    >>> from analysis.run import run_plan
    >>> study = example_study()
    >>> results = run_plan(study.scores, study.regions, study.plan, choices=study.choices)
    >>> figure_choices(results, image_format="pdf")[:4]
    b'%PDF'
    """
    found = results.choices
    found = found[found["p"].notna()] if not found.empty else found
    if found.empty:
        raise ValueError("There are no forced choices to draw.")
    rows = found.to_dict("records")
    with drawing():
        figure = Figure(figsize=(7.2, 0.3 * len(rows) + 1.3))
        axes = figure.subplots()
        names = []
        for place, row in enumerate(rows):
            axes.plot([row["low"], row["high"]], [place, place], color="black", lw=0.8, zorder=1)
            axes.plot(
                row["share_b"],
                place,
                "o",
                markersize=5,
                markerfacecolor=PALETTE[2] if row["significant"] else "white",
                markeredgecolor="black",
                markeredgewidth=0.6,
            )
            count = f"{row['chosen_b']} of {row['n']}; q = {format_q(row['q'], results.plan.alpha)}"
            axes.annotate(
                count.replace("q = <", "q < "),
                (1.02, place),
                xycoords=("axes fraction", "data"),
                fontsize=6.5,
                va="center",
                annotation_clip=False,
            )
            pair = comparison_label((row["a"], row["b"]), labels)
            reader = f", {row['reader']}" if row["reader"] else ""
            names.append(f"{label_of(row['criterion'], labels)}{reader}: {pair}")
        axes.axvline(0.5, color="black", lw=0.6)
        axes.set_xlim(0, 1)
        axes.set_yticks(range(len(rows)), names, fontsize=7)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel("Share of volunteers in whom the second arm was preferred")
        bare(axes, "top", "right", "left")
        level = f"{100 * (1 - results.plan.alpha):g} %"
        alpha = f"{results.plan.alpha:g}".removeprefix("0")
        text = (
            f"Bars: {level} interval, exact (Clopper–Pearson). Filled: q ≤ {alpha}. "
            "Line: neither preferred."
        )
        figure_note(figure, "\n".join(filter(None, (text, note))))
        return figure_bytes(figure, image_format)


def figure_ranking(
    results: Results,
    labels: Mapping[str, str] | None = None,
    *,
    image_format: ImageFormat = "svg",
    note: str = "",
) -> bytes:
    """Ranking: the mean rank of every arm with its interval, a group a criterion; 1 is the best.

    Parameters
    ----------
    results : Results
        With rankings.
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
        If there are no rankings to draw.

    Examples
    --------
    >>> from analysis.example import example_study
    >>> from analysis.run import run_plan
    >>> study = example_study()
    >>> results = run_plan(study.scores, study.regions, study.plan, rankings=study.rankings)
    >>> figure_ranking(results, image_format="pdf")[:4]
    b'%PDF'
    """
    plan, found = results.plan, results.rankings
    if found.empty:
        raise ValueError("There are no rankings to draw.")
    ranks = found[(found["a"] == "") & (found["b"] != "")]
    groups = list(dict.fromkeys(zip(ranks["criterion"], ranks["reader"], strict=True)))
    step = 0.8 / len(plan.arms)
    with drawing():
        figure = Figure(figsize=(7.2, len(groups) * (0.17 * len(plan.arms) + 0.15) + 1.3))
        axes = figure.subplots()
        for row in ranks.to_dict("records"):
            number = plan.arms.index(row["b"])
            group = groups.index((row["criterion"], row["reader"]))
            place = group + (number - (len(plan.arms) - 1) / 2) * step
            if not np.isnan(row["low"]):
                limits = [row["low"], row["high"]]
                axes.plot(limits, [place, place], color="black", lw=0.8, zorder=1)
            axes.plot(row["value"], place, zorder=2, **_marker(number))
        axes.set_xlim(len(plan.arms) + 0.15, 0.85)
        axes.set_xticks(range(1, len(plan.arms) + 1))
        names = [
            label_of(criterion, labels) + (f", {reader}" if reader else "")
            for criterion, reader in groups
        ]
        axes.set_yticks(range(len(groups)), [wrapped(name) for name in names])
        axes.set_ylim(len(groups) - 0.45, -0.55)
        axes.set_xlabel("Mean rank (1 is the best)")
        bare(axes, "top", "right", "left")
        handles = [
            Line2D([], [], label=label_of(arm, labels), **_marker(number))
            for number, arm in enumerate(plan.arms)
        ]
        figure.legend(
            handles=handles, loc="upper center", ncols=min(5, len(handles)), frameon=False
        )
        text = (
            f"Bars: {100 * (1 - plan.alpha):g} % interval, bootstrap over volunteers; none where "
            "all volunteers rank the arm alike."
        )
        figure_note(figure, "\n".join(filter(None, (text, note))), top=0.3)
        return figure_bytes(figure, image_format)


def _marker(number: int) -> dict[str, Any]:
    return {
        "marker": MARKERS[number % len(MARKERS)],
        "ls": "",
        "markersize": 5,
        "markerfacecolor": PALETTE[number % len(PALETTE)],
        "markeredgecolor": "black",
        "markeredgewidth": 0.5,
    }
