"""The publication's tables from the results, and tables as CSV with every digit."""

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pandas as pd

from analysis.plan import AnalysisPlan
from analysis.run import Results

DASH = "–"


def table_2(
    results: Results, labels: Mapping[str, str] | None = None, *, decimals: int = 1
) -> pd.DataFrame:
    """Table 2: SNR and CNR, mean ± SD by tissue and arm, and the q value of each comparison.

    Parameters
    ----------
    results : Results
    labels : mapping of str to str, optional
        Names for codes of arms and tissues; a code without one is shown as it is. Masked arms get
        their letters here.
    decimals : int
        Of mean and SD.

    Returns
    -------
    pandas.DataFrame
        Text cells. Columns: Metric, Tissue (Reader too where each reader is analysed alone), one an
        arm, one a comparison ("q: DF v DLR-DF").

    Examples
    --------
    >>> from analysis.example import example_study
    >>> from analysis.run import run_plan
    >>> study = example_study()
    >>> table_2(run_plan(pd.DataFrame(), study.regions, study.plan)).iloc[0].tolist()
    ['SNR', 'fat', '131.7 ± 18.9', '87.4 ± 13.5', '149.0 ± 25.9', '<.001', '<.001']
    """
    rows = _table(results, ("SNR", "CNR"), labels, decimals)
    return rows.rename(columns={"Row": "Tissue"})


def table_3(
    results: Results,
    labels: Mapping[str, str] | None = None,
    *,
    decimals: int = 1,
    medians: bool = False,
) -> pd.DataFrame:
    """Table 3: scores by criterion and arm, and the q value of each comparison.

    Parameters
    ----------
    results : Results
    labels : mapping of str to str, optional
        As for `table_2`, with names for criteria.
    decimals : int
    medians : bool
        Show "median [Q1–Q3]" instead of "mean ± SD".

    Returns
    -------
    pandas.DataFrame
        Text cells. Columns: Criterion (and Reader), one an arm, one a comparison.

    Examples
    --------
    >>> from analysis.example import example_study
    >>> from analysis.run import run_plan
    >>> study = example_study()
    >>> table_3(run_plan(study.scores, pd.DataFrame(), study.plan)).iloc[0].tolist()
    ['sharpness', '3.0 ± 0.4', '2.3 ± 0.5', '3.6 ± 0.5', '.002', '.03']
    """
    rows = _table(results, ("score",), labels, decimals, medians)
    return rows.drop(columns="Metric").rename(columns={"Row": "Criterion"})


def format_q(q: float, alpha: float = 0.05) -> str:
    """A p or q value as journals print it: without the leading zero, exact enough near alpha.

    Parameters
    ----------
    q : float
    alpha : float
        Where two decimals would hide on which side of alpha the value lies, more are shown.

    Returns
    -------
    str
        "<.001", ".004", ".03", ".052", ".60", "1.00"; a dash for a missing value.

    Examples
    --------
    >>> [format_q(q) for q in (0.0004, 0.00390625, 0.026, 0.0520833, 0.603, 1.0)]
    ['<.001', '.004', '.03', '.052', '.60', '1.00']
    """
    if np.isnan(q):
        return DASH
    if q < 0.001:
        return "<.001"
    places = 3 if q < 0.01 else 2
    while places < 6 and float(fixed(q, places)) == alpha and q != alpha:
        places += 1
    # Three decimals in the whole neighbourhood of alpha, so that its rows compare.
    if abs(q - alpha) < 0.005:
        places = max(places, 3)
    return fixed(q, places).removeprefix("0")


def fixed(value: float, decimals: int) -> str:
    """A number with fixed decimals, halves away from zero as journals round.

    Exact p values are dyadic fractions and medians are halves, so ties are common here; formatting
    with Python's own rule (half to even) would print .125 as .12.

    Parameters
    ----------
    value : float
    decimals : int

    Returns
    -------
    str

    Examples
    --------
    >>> fixed(0.125, 2), fixed(-2.25, 1), fixed(2.0, 1)
    ('0.13', '-2.3', '2.0')
    """
    return str(Decimal(repr(float(value))).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP))


def format_mean_sd(mean: float, sd: float, decimals: int = 1) -> str:
    """ "mean ± SD", a dash for what is missing.

    Parameters
    ----------
    mean, sd : float
    decimals : int

    Returns
    -------
    str

    Examples
    --------
    >>> format_mean_sd(111.3, 43.9957), format_mean_sd(3.0, float("nan"))
    ('111.3 ± 44.0', '3.0 ± –')
    """
    if np.isnan(mean):
        return DASH
    spread = DASH if np.isnan(sd) else fixed(sd, decimals)
    return f"{fixed(mean, decimals)} ± {spread}"


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """A table as CSV: UTF-8, every digit of a number, empty for missing, lines end in a newline.

    The shortest text that reads back as the same float64 is written, so nothing is lost.

    Parameters
    ----------
    frame : pandas.DataFrame

    Returns
    -------
    bytes

    Examples
    --------
    >>> csv_bytes(pd.DataFrame({"p": [0.1 + 0.2, float("nan")], "row": ["fat", "csf"]}))
    b'p,row\\n0.30000000000000004,fat\\n,csf\\n'
    """
    return frame.to_csv(index=False, lineterminator="\n", na_rep="").encode("utf-8")


def result_tables(results: Results) -> dict[str, pd.DataFrame]:
    """Every frame of the results by the name of its CSV file.

    Parameters
    ----------
    results : Results

    Returns
    -------
    dict of str to pandas.DataFrame

    Examples
    --------
    >>> from analysis.run import run_plan
    >>> plan = AnalysisPlan(arms=("A", "B"), control="A", comparisons=(("A", "B"),))
    >>> sorted(result_tables(run_plan(pd.DataFrame(), pd.DataFrame(), plan)))[:2]
    ['abilities.csv', 'agreement.csv']
    """
    return {
        "derived_long.csv": results.derived,
        "summaries_long.csv": results.summaries,
        "descriptives.csv": results.descriptives,
        "tests.csv": results.tests,
        "agreement.csv": results.agreement,
        "non_inferiority.csv": results.non_inferiority,
        "sensitivity.csv": results.sensitivity,
        "shares.csv": results.shares,
        "beside_long.csv": results.beside_values,
        "beside.csv": results.beside,
        "gains.csv": results.gains,
        "choices.csv": results.choices,
        "abilities.csv": results.abilities,
        "rankings.csv": results.rankings,
        "warnings.csv": results.warning_frame(),
    }


def label_of(code: str, labels: Mapping[str, str] | None) -> str:
    """The name of a code, or the code.

    Parameters
    ----------
    code : str
    labels : mapping of str to str or None

    Returns
    -------
    str

    Examples
    --------
    >>> label_of("DF", {"DF": "Double-fast"})
    'Double-fast'
    """
    return (labels or {}).get(code, code)


def comparison_label(pair: tuple[str, str], labels: Mapping[str, str] | None) -> str:
    """ "a v b" with names.

    Parameters
    ----------
    pair : (str, str)
    labels : mapping of str to str or None

    Returns
    -------
    str

    Examples
    --------
    >>> comparison_label(("DF", "DLR"), {"DLR": "DLR-double-fast"})
    'DF v DLR-double-fast'
    """
    return f"{label_of(pair[0], labels)} v {label_of(pair[1], labels)}"


def _table(
    results: Results,
    metrics: tuple[str, ...],
    labels: Mapping[str, str] | None,
    decimals: int,
    medians: bool = False,
) -> pd.DataFrame:
    plan = results.plan
    columns = ["Metric", "Row", *_value_columns(plan, labels)]
    cells = results.descriptives[results.descriptives["metric"].isin(metrics)]
    by_reader = bool((cells["reader"] != "").any())
    records = []
    for (metric, row, reader), group in cells.groupby(["metric", "row", "reader"], sort=False):
        chosen = results.tests
        chosen = chosen[
            (chosen["metric"] == metric) & (chosen["row"] == row) & (chosen["reader"] == reader)
        ]
        q = {(test.a, test.b): float(test.q) for test in chosen.itertuples()}
        texts = [_cell(cell, decimals, medians) for cell in group.to_dict("records")]
        start = [metric, label_of(str(row), labels)]
        tests = [format_q(q[pair], plan.alpha) for pair in plan.comparisons]
        records.append([*start, *([reader] if by_reader else []), *texts, *tests])
    if by_reader:
        columns.insert(2, "Reader")
    return pd.DataFrame(records, columns=columns)


def _value_columns(plan: AnalysisPlan, labels: Mapping[str, str] | None) -> list[str]:
    arms = [label_of(arm, labels) for arm in plan.arms]
    return [*arms, *(f"q: {comparison_label(pair, labels)}" for pair in plan.comparisons)]


def _cell(cell: Mapping[object, float], decimals: int, medians: bool) -> str:
    if not medians:
        return format_mean_sd(cell["mean"], cell["sd"], decimals)
    if np.isnan(cell["median"]):
        return DASH
    median, q1, q3 = (fixed(cell[name], decimals) for name in ("median", "q1", "q3"))
    return f"{median} [{q1}–{q3}]"
