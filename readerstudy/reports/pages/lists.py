"""Every test, the agreement, and what stands beside the planned tests, as lists."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.publication import publication_tables
from analysis.table_notes import method_note
from analysis.tables import fixed, format_q
from readerstudy.reports.bundles.paper import results_of
from readerstudy.reports.paper_tables import behind
from readerstudy.reports.report import Report
from readerstudy.reports.wording import alpha_text

from .listing import Column, ListCell, ListTable, of_publication
from .notes import Footnotes

# The publication's tables of each page. Tables 2 and 3 are set by `paper_tables`.
OF_SENSITIVITY = ("table2_beside", "table3_shares", "table5")
_ANALYSES = {
    "vgc": "Visual grading characteristics",
    "ordinal_regression": "Ordinal regression",
    "ordinal_gee": "Ordinal regression (GEE)",
    "friedman": "Friedman",
}


def labels_with_letters(report: Report) -> dict[str, str]:
    """Names for codes; after unblinding each arm's letter stays beside its name."""
    if report.is_masked:
        arms = dict(report.arm_names)  # a letter, as in the tables beside
    else:
        arms = {code: f"{name} ({report.letters[code]})" for code, name in report.arm_names.items()}
    return {**arms, **report.row_names}


def pair_text(report: Report, a: str, b: str) -> str:
    return f"{report.arm_names[a]} v {report.arm_names[b]}"


def pair_letters(report: Report, a: str, b: str) -> str:
    return f"{report.letters[a]} v {report.letters[b]}"


def row_text(report: Report, row: dict[Any, Any]) -> str:
    name = report.row_names[row["row"]]
    return f"{name}, {row['reader']}" if row["reader"] else name


def test_list(report: Report) -> ListTable | None:
    """Every test, with the direction "second minus first"."""
    tests = report.results.tests
    if tests.empty:
        return None
    plan = report.plan
    notes = Footnotes(report.warnings, ("SNR", "CNR", "score"))
    rows = []
    for test in tests.to_dict("records"):
        pair = (test["a"], test["b"])
        metric = "" if test["metric"] == "score" else f"{test['metric']}, "
        own = notes.at(test["metric"], test["row"], pair=f"{pair[0]} v {pair[1]}")
        missing = f" ({test['n_missing']} left out)" if test["n_missing"] else ""
        cells = [
            ListCell(f"{metric}{row_text(report, test)}"),
            ListCell(pair_text(report, *pair), link=behind(test, a=pair[0], b=pair[1])),
            *_letters(report, *pair),
            ListCell(f"{test['n']}{missing}"),
            ListCell(str(test["n_nonzero"]), notes=own),
            ListCell(f"{_plain(test['w_plus'])} / {_plain(test['w_minus'])}"),
            ListCell(format_q(test["p"], plan.alpha), exact=repr(test["p"])),
            ListCell(
                format_q(test["q"], plan.alpha), bool(test["significant"]), exact=repr(test["q"])
            ),
            ListCell(str(test["m"])),
            ListCell(_interval(test, "hodges_lehmann")),
            ListCell(_interval(test, "rank_biserial")),
            ListCell(f"{test['wins']} / {test['ties']} / {test['losses']}"),
        ]
        rows.append(cells)
    columns = [
        Column("Row", False),
        Column("Comparison, a v b", False),
        *letter_columns(report),
        *(Column(text) for text in ("Pairs", "Not tied", "W+ / W−", "p", "q", "m")),
        *(Column(text) for text in ("Hodges–Lehmann (95 %)", "Rank-biserial (95 %)")),
        Column("b higher / tied / lower"),
    ]
    legend = [
        method_note(plan, tests),
        "Differences are b minus a; W+: rank sum of the volunteers in which b lies higher; m: "
        "tests in the family. q is unrounded against α. An interval is left out where none exists "
        "at this level.",
    ]
    return ListTable("tests", "All tests", columns, rows, legend, notes.texts)


def letter_columns(report: Report) -> list[Column]:
    """The letters stay as a column after unblinding."""
    return [] if report.is_masked else [Column("Letters", False)]


def _letters(report: Report, a: str, b: str) -> list[ListCell]:
    if report.is_masked:
        return []
    return [ListCell(pair_letters(report, a, b) if a else report.letters.get(b, ""))]


def agreement_list(report: Report) -> ListTable | None:
    found = report.results.agreement
    if found.empty:
        return None
    rows = [
        [
            ListCell(report.row_names[row["criterion"]]),
            ListCell(str(row["statistic"])),
            ListCell(rounded(row["value"]), exact=repr(row["value"])),
            ListCell(
                f"{rounded(row['low'])} to {rounded(row['high'])}" if pd.notna(row["low"]) else "–"
            ),
            ListCell(interval_method(row)),
            ListCell(str(row["n"])),
            ListCell(str(row["readers"])),
        ]
        for row in found.to_dict("records")
    ]
    columns = [
        Column("Criterion", False),
        Column("Statistic", False),
        Column("Value"),
        Column("95 % interval"),
        Column("Interval by", False),
        Column("Images (n)"),
        Column("Readers"),
    ]
    legend = [
        "Over all arms and volunteers; primary scores of the first occasion. Estimates with "
        "intervals: no test, so no family and no α."
    ]
    absent = [w.text for w in report.warnings if w.text.startswith(report.plan.agreement)]
    return ListTable(
        "agreement", "Table 4. Agreement between readers", columns, rows, legend, unique(absent)
    )


def sensitivity_tables(report: Report) -> list[ListTable]:
    """Other noise estimates and contrasts, shares, non-inferiority, and the plan's further
    analyses."""
    results = results_of(report)
    made = publication_tables(
        results, labels_with_letters(report), both_directions=report.is_masked
    )
    found = {t.name: t for t in made}
    tables = [of_publication(found[name]) for name in OF_SENSITIVITY if name in found]
    return [*tables, *_analyses(report)]


def _analyses(report: Report) -> list[ListTable]:
    tables = []
    for analysis, group in report.results.sensitivity.groupby("analysis", sort=False):
        name = str(analysis)
        rows = []
        made = _intervals(group)
        one_statistic = len(made) == 1
        has_p, has_q = group["p"].notna().any(), group["q"].notna().any()
        for row in group.to_dict("records"):
            arms = [report.arm_names[code] for code in (row["a"], row["b"]) if code]
            rows.append(
                [
                    ListCell(row_text(report, row)),
                    ListCell(" v ".join(arms) or "All arms"),
                    *_letters(report, row["a"], row["b"]),
                    *([] if one_statistic else [ListCell(_statistic(row))]),
                    ListCell(_value(row)),
                    *_tested(row["p"], report.plan.alpha, has_p),
                    *_tested(row["q"], report.plan.alpha, has_q),
                    ListCell(str(row["n"])),
                ]
            )
        columns = [
            Column("Criterion", False),
            Column("Comparison, a v b", False),
            *letter_columns(report),
            *([] if one_statistic else [Column("Statistic", False)]),
            Column("Value (interval)"),
            *([Column("p")] if has_p else []),
            *([Column("q")] if has_q else []),
            Column("Scores (n)" if name.startswith("ordinal") else "Volunteers (n)"),
        ]
        legend = [
            "Sensitivity analysis, beside the planned tests: its p are in none of their families"
            + (", q is taken over all pairs of the row" if has_q else "")
            + f". α = {alpha_text(report.plan.alpha)}. Of b against a."
        ]
        legend.append(f"Intervals. {'; '.join(f'{what}: {how}' for what, how in made.items())}.")
        if report.is_masked and name.startswith("ordinal"):
            legend.append("The reference is the first letter: the control is not known yet.")
        said = _said(report, name)
        title = _ANALYSES.get(name, name)
        tables.append(ListTable(name, title, columns, rows, legend, unique(said)))
    missing = [
        name
        for name in report.plan.sensitivity
        if name not in set(report.results.sensitivity["analysis"])
    ]
    for name in missing:
        said = _said(report, name)
        legend = ["Asked for by the plan; these data do not allow it."]
        tables.append(ListTable(name, _ANALYSES.get(name, name), [], [], legend, unique(said)))
    return tables


def _said(report: Report, analysis: str) -> list[str]:
    """The warnings of one analysis, without its name in front, which the table bears."""
    start = f"{analysis}: "
    texts = [w.text.removeprefix(start) for w in report.warnings if w.text.startswith(start)]
    return [text[:1].upper() + text[1:] for text in texts]


def _tested(value: float, alpha: float, is_shown: bool) -> list[ListCell]:
    return [ListCell(_p(value, alpha), exact=_exact(value))] if is_shown else []


# In front of the interval's method, what belongs to the value: "Friedman chi-square 12, …".
_BEFORE_INTERVAL = "; interval: "


def _intervals(group: pd.DataFrame) -> dict[str, str]:
    """How the intervals of each statistic were made, said once."""
    made: dict[str, dict[str, None]] = {}
    for row in group.to_dict("records"):
        how = interval_method(row).rpartition(_BEFORE_INTERVAL)[2]
        made.setdefault(_statistic_name(row), {})[how] = None
    return {what: ", or ".join(found) for what, found in made.items()}


def _statistic(row: dict[Any, Any]) -> str:
    before = interval_method(row).rpartition(_BEFORE_INTERVAL)[0]
    return f"{_statistic_name(row)}; {before}" if before else _statistic_name(row)


def _statistic_name(row: dict[Any, Any]) -> str:
    """Without the arm's code, which stands in the comparison."""
    name = str(row["statistic"])
    return "mean rank" if name.startswith("mean rank,") else name.replace(" cases", " volunteers")


def interval_method(row: dict[Any, Any]) -> str:
    """How an interval was made; a case of `analysis` is a volunteer here."""
    return str(row["method"]).replace(" cases", " volunteers")


def unique(texts: list[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _value(row: dict[Any, Any]) -> str:
    say = odds if "odds ratio" in str(row["statistic"]) else rounded
    value = say(row["value"])
    if pd.isna(row["low"]):
        return value
    return f"{value} ({say(row['low'])} to {say(row['high'])})"


def odds(value: float) -> str:
    """An odds ratio: two decimals, below a tenth two digits that count, so that none is zero.

    >>> odds(2.345), odds(0.00312), odds(0.0000001), odds(1234.5)
    ('2.35', '0.0031', '<0.0001', '1235')
    """
    if pd.isna(value):
        return "–"
    if value < 0.0001:
        return "<0.0001"
    if value >= 100:
        return fixed(value, 0)
    return rounded(value) if value >= 0.1 else fixed(value, 3 if value >= 0.01 else 4)


def _p(value: float, alpha: float) -> str:
    return "" if pd.isna(value) else format_q(value, alpha)


def _exact(value: float) -> str:
    return "" if pd.isna(value) else repr(value)


def _interval(test: dict[Any, Any], name: str) -> str:
    if pd.isna(test[name]):
        return "–"
    value = rounded(test[name])
    if pd.isna(test[f"{name}_low"]):
        return value
    return f"{value} ({rounded(test[f'{name}_low'])} to {rounded(test[f'{name}_high'])})"


def rounded(value: float) -> str:
    """Two decimals, with the printers' minus, and none before a zero."""
    if pd.isna(value):
        return "–"
    text = fixed(value, 2)
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", "−")


def _plain(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:g}"
