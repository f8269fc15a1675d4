"""Figures of how scores are spread, how far arms differ, and how two arms agree."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
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
from analysis.input_checks import first_occasion
from analysis.plan import AnalysisPlan
from analysis.reliability import bland_altman
from analysis.run import Results
from analysis.tables import comparison_label, label_of

# Dark is low, light is high: cividis, whose order survives greyscale and colour blindness.
_SCALE_COLOURS = ("#00224E", "#434E6C", "#7D7C78", "#BCAF6F", "#FEE838")
_DARK = 2


def figure_scores(
    scores: pd.DataFrame,
    plan: AnalysisPlan,
    labels: Mapping[str, str] | None = None,
    *,
    image_format: ImageFormat = "svg",
    note: str = "",
) -> bytes:
    """Stacked bars: the share of each score, a bar an arm under each criterion.

    Parameters
    ----------
    scores : pandas.DataFrame
        volunteer, arm, reader, criterion, score: every reader's first reading counts once.
    plan : AnalysisPlan
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
        If there are no scores, or more than nine different ones.

    Examples
    --------
    >>> plan = AnalysisPlan(arms=("A", "B"), control="A", comparisons=(("A", "B"),),
    ...                     criteria=("sharpness",))
    >>> scores = pd.DataFrame([("V1", arm, "R1", "sharpness", 3.0) for arm in "AB"],
    ...                       columns=["volunteer", "arm", "reader", "criterion", "score"])
    >>> figure_scores(scores, plan, image_format="pdf")[:4]
    b'%PDF'
    """
    once = first_occasion(scores)
    known = once[once["score"].notna()] if not once.empty else once
    if known.empty:
        raise ValueError("There are no scores to draw.")
    scale = np.unique(known["score"].to_numpy(dtype=np.float64))
    if plan.score_range is not None:
        whole = np.arange(plan.score_range[0], plan.score_range[1] + 1)
        # Halves may occur between the whole scores: every score must have its part of the bar.
        scale = np.union1d(whole, scale)
    if scale.size > 9:
        raise ValueError(f"{scale.size} different scores are too many for stacked bars.")
    places = np.linspace(0, len(_SCALE_COLOURS) - 1, scale.size).round().astype(int)
    criteria = [code for code in plan.criteria if (known["criterion"] == code).any()]
    with drawing():
        figure = Figure(figsize=(7.2, 0.75 + len(criteria) * (0.17 * len(plan.arms) + 0.22)))
        panels = figure.subplots(len(criteria), 1, sharex=True, squeeze=False)[:, 0]
        for axes, criterion in zip(panels, criteria, strict=True):
            part = known[known["criterion"] == criterion]
            for position, arm in enumerate(plan.arms):
                values = part.loc[part["arm"] == arm, "score"].to_numpy(dtype=np.float64)
                left = 0.0
                for score, place in zip(scale, places, strict=True):
                    share = 100 * float((values == score).mean()) if values.size else 0.0
                    colour = _SCALE_COLOURS[place]
                    axes.barh(position, share, 0.8, left, color=colour, edgecolor="white", lw=0.4)
                    if share >= 6:
                        ink = "white" if place <= _DARK else "black"
                        axes.text(
                            left + share / 2,
                            position,
                            f"{share:.0f}",
                            ha="center",
                            va="center_baseline",
                            fontsize=5.5,
                            color=ink,
                        )
                    left += share
            axes.set_yticks(
                range(len(plan.arms)), [label_of(arm, labels) for arm in plan.arms], fontsize=6.5
            )
            axes.invert_yaxis()
            axes.tick_params(axis="y", length=0)
            axes.set_xlim(0, 100)
            axes.set_title(label_of(criterion, labels).replace("_", " "), loc="left", fontsize=7.5)
            bare(axes, "top", "right", "left")
        panels[-1].set_xlabel("Share of the scores of all readers and volunteers (%)")
        handles = [
            Line2D([], [], marker="s", ls="", markersize=6, color=_SCALE_COLOURS[place])
            for place in places
        ]
        figure.legend(
            handles,
            [f"{score:g}" for score in scale],
            loc="upper right",
            ncols=scale.size,
            frameon=False,
            title="Score",
            title_fontsize=7,
            handletextpad=0.1,
        )
        text = (
            f"Scores of {known['reader'].nunique()} readers in {known['volunteer'].nunique()} "
            "volunteers, first reading; shares below 6 % are not lettered."
        )
        figure_note(figure, "\n".join(filter(None, (text, note))), top=0.25)
        return figure_bytes(figure, image_format)


def figure_differences(
    results: Results,
    labels: Mapping[str, str] | None = None,
    *,
    both_directions: bool = False,
    image_format: ImageFormat = "svg",
    note: str = "",
) -> bytes:
    """Forest plot of paired differences: the Hodges-Lehmann shift of each comparison, with its CI.

    Where the plan has a margin, a panel of its own shows the mean differences with the intervals
    that decide non-inferiority: the margin stands there alone, since no other interval is held
    against it.

    Parameters
    ----------
    results : Results
    labels : mapping of str to str, optional
    both_directions : bool
        The margin on both sides of zero, for comparisons whose order means nothing.
    image_format : {"svg", "png", "pdf"}
    note : str
        Shown below.

    Returns
    -------
    bytes
        One panel a metric, with the number of pairs at the right. A hollow point has no interval:
        too few pairs for one.

    Raises
    ------
    ValueError
        If there is nothing to compare, or each reader was analysed alone.

    Examples
    --------
    >>> from analysis.example import example_study
    >>> from analysis.run import run_plan
    >>> study = example_study()
    >>> results = run_plan(study.scores, pd.DataFrame(), study.plan)
    >>> figure_differences(results, image_format="png")[1:4]
    b'PNG'
    """
    plan = results.plan
    tests = results.tests[results.tests["hodges_lehmann"].notna()]
    if tests.empty:
        raise ValueError("There are no paired differences to draw.")
    if (tests["reader"] != "").any():
        raise ValueError("The forest plot pools the readers; the plan keeps them apart.")
    shown = _forests(results, tests)
    pairs = list(plan.comparisons)
    counts = [forest["row"].nunique() for _, forest in shown]
    with drawing():
        height = sum(counts) * (0.13 * len(pairs) + 0.12) + 0.55 * len(shown) + 0.6
        figure = Figure(figsize=(7.2, height))
        panels = figure.subplots(len(shown), 1, squeeze=False, height_ratios=counts)[:, 0]
        for axes, (title, forest) in zip(panels, shown, strict=True):
            _forest(axes, forest, pairs, labels)
            axes.set_xlabel(title)
        if plan.margin is not None and not results.non_inferiority.empty:
            for side in (-1, 1) if both_directions else (-1,):
                panels[-1].axvline(side * plan.margin, color="black", lw=0.6, ls="--")
        handles = [
            Line2D(
                [],
                [],
                marker=MARKERS[number % len(MARKERS)],
                ls="",
                markerfacecolor=PALETTE[(number + 1) % len(PALETTE)],
                markeredgecolor="black",
                markeredgewidth=0.5,
                markersize=5,
                label=comparison_label(pair, labels),
            )
            for number, pair in enumerate(pairs)
        ]
        figure.legend(handles=handles, loc="upper center", ncols=2, frameon=False)
        legend = 0.18 * ((len(pairs) + 1) // 2) + 0.1
        text = _difference_note(results, both_directions)
        figure_note(figure, "\n".join(filter(None, (text, note))), top=legend)
        return figure_bytes(figure, image_format)


def _forests(results: Results, tests: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """What each panel shows, by the words at its axis: row, a, b, value, low, high, n."""
    shift = {
        "hodges_lehmann": "value",
        "hodges_lehmann_low": "low",
        "hodges_lehmann_high": "high",
    }
    columns = ["row", "a", "b", "value", "low", "high", "n"]
    found = []
    for metric, part in tests.groupby("metric", sort=False):
        unit = "score points" if metric == "score" else metric
        title = f"Hodges–Lehmann shift, second minus first ({unit})"
        found.append((title, part.rename(columns=shift)[columns]))
    decided = results.non_inferiority.rename(columns={"difference": "value"})
    if not decided.empty:
        title = "Mean difference, second minus first (score points), for non-inferiority"
        found.append((title, decided[columns]))
    return found


def _forest(
    axes: Axes,
    forest: pd.DataFrame,
    pairs: list[tuple[str, str]],
    labels: Mapping[str, str] | None,
) -> None:
    """Points with their intervals, a line a comparison under each row, n at the right."""
    rows = list(dict.fromkeys(forest["row"]))
    beside = axes.get_yaxis_transform()
    for one in forest.itertuples():
        number = pairs.index((one.a, one.b))
        place = rows.index(one.row) + (number - (len(pairs) - 1) / 2) * 0.8 / len(pairs)
        bounded = not np.isnan(one.low)
        colour = PALETTE[(number + 1) % len(PALETTE)]
        if bounded:
            axes.plot([one.low, one.high], [place, place], color="black", lw=0.8, zorder=1)
        axes.plot(
            one.value,
            place,
            MARKERS[number % len(MARKERS)],
            markersize=4,
            markerfacecolor=colour if bounded else "white",
            markeredgecolor="black",
            markeredgewidth=0.5,
        )
        axes.text(1.01, place, f"{one.n}", transform=beside, va="center_baseline", fontsize=5.5)
    axes.axvline(0, color="black", lw=0.6)
    axes.text(1.01, 1.0, "n", transform=axes.transAxes, va="bottom", fontsize=6.5, style="italic")
    axes.set_yticks(range(len(rows)), [wrapped(label_of(row, labels)) for row in rows])
    axes.set_ylim(len(rows) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)
    bare(axes, "top", "right", "left")


def _difference_note(results: Results, both_directions: bool) -> str:
    plan = results.plan
    text = (
        "Lines at Hodges–Lehmann shifts: 95 % confidence interval, exact. Hollow: too few pairs "
        "for an interval. n: volunteers with a value in both arms."
    )
    if plan.margin is None or results.non_inferiority.empty:
        return text
    sign = "±" if both_directions else "−"
    return (
        f"{text} Lines at mean differences: {100 * (1 - plan.alpha):g} % interval (expanded "
        "percentile bootstrap over volunteers), which alone is held against the margin. Dashed: "
        f"margin of non-inferiority, {sign}{plan.margin:g}."
    )


def figure_bland_altman(
    pairs: Mapping[str, tuple[pd.Series, pd.Series]],
    unit: str,
    *,
    image_format: ImageFormat = "svg",
    note: str = "",
) -> bytes:
    """Bland-Altman plots: difference b - a against the mean, a panel a pair.

    Second minus first, as every other difference of a comparison.

    Parameters
    ----------
    pairs : mapping of str to (a, b)
        Title of the panel, and two lists of equal length, case by case; NaN for missing.
    unit : str
        Of the values, for the axes.
    image_format : {"svg", "png", "pdf"}
    note : str
        Shown below.

    Returns
    -------
    bytes

    Raises
    ------
    ValueError
        Without a pair, or with fewer than two complete cases in one.

    Examples
    --------
    >>> a, b = pd.Series([10.0, 12, 14, 11]), pd.Series([11.0, 11, 14, 13])
    >>> figure_bland_altman({"DF v DLR": (a, b)}, "SNR", image_format="pdf")[:4]
    b'%PDF'
    """
    if not pairs:
        raise ValueError("There is no pair of arms to draw.")
    columns = min(2, len(pairs))
    lines = -(-len(pairs) // columns)
    with drawing():
        figure = Figure(figsize=(3.6 * columns, 2.6 * lines + 0.4))
        panels = figure.subplots(lines, columns, squeeze=False).ravel()
        for axes, (title, (a, b)) in zip(panels, pairs.items(), strict=False):
            found = bland_altman(b, a)
            first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
            axes.plot(
                (first + second) / 2,
                second - first,
                "o",
                markersize=3.5,
                markerfacecolor=PALETTE[2],
                markeredgecolor="black",
                markeredgewidth=0.4,
            )
            axes.margins(x=0.12)  # the intervals of the lines stand at the left edge
            for place, estimate, style in (
                (0.03, found.bias, "-"),
                (0.015, found.lower_limit, "--"),
                (0.045, found.upper_limit, "--"),
            ):
                axes.axhline(estimate.value, color="black", lw=0.7, ls=style)
                if estimate.interval is not None:
                    limits = (estimate.interval.low, estimate.interval.high)
                    # In fractions of the width: the intervals stand at the edge, off the points.
                    axes.plot(
                        (place, place),
                        limits,
                        "_-",
                        transform=axes.get_yaxis_transform(),
                        color="black",
                        lw=0.7,
                        markersize=4,
                    )
                axes.annotate(
                    f"{estimate.value:.3g}".replace("-", "−"),
                    # Outside, where no point lies.
                    (1.01, estimate.value),
                    xycoords=("axes fraction", "data"),
                    fontsize=6,
                    ha="left",
                    va="center",
                )
            axes.set_title(f"{title} (n = {found.bias.n})", fontsize=7.5)
            axes.set_xlabel(f"Mean of both ({unit})")
            axes.set_ylabel(f"Second minus first ({unit})")
            bare(axes, "top", "right")
        for axes in panels[len(pairs) :]:
            axes.set_visible(False)
        text = (
            "Lines: bias and limits of agreement (bias ± 1.96 SD); at the left their 95 % intervals"
        )
        figure_note(figure, "\n".join(filter(None, (text, note))))
        return figure_bytes(figure, image_format)
