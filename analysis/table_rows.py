"""The rows of the tables: one value a volunteer and arm, as tests and summaries take them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.plan import AnalysisPlan
from analysis.ratios import PlanWarning

# Volunteers that a warning names.
MOST_NAMED = 5
SUMMARY_COLUMNS = ["volunteer", "arm", "criterion", "reader", "score", "readers"]


@dataclass(frozen=True)
class TableRow:
    """One table row: the values of every volunteer (index) in every arm (columns).

    Attributes
    ----------
    metric : str
        "SNR", "CNR" or "score".
    row : str
        Tissue or criterion.
    reader : str
        Empty where readers are pooled.
    values : pandas.DataFrame
    """

    metric: str
    row: str
    reader: str
    values: pd.DataFrame


def summarise_readers(
    scores: pd.DataFrame, plan: AnalysisPlan
) -> tuple[pd.DataFrame, list[PlanWarning]]:
    """One score a volunteer, arm and criterion over the readers, as the plan says.

    Parameters
    ----------
    scores : pandas.DataFrame
        Checked by `analysis.input_frames.check_scores`.
    plan : AnalysisPlan

    Returns
    -------
    pandas.DataFrame
        volunteer, arm, criterion, reader (empty when pooled), score, readers (who scored).
    list of PlanWarning
        Where a reader's score is missing.

    Examples
    --------
    >>> plan = AnalysisPlan(arms=("A", "B"), control="A", comparisons=(("A", "B"),),
    ...                     criteria=("sharpness",))
    >>> scores = pd.DataFrame({"volunteer": "V1", "arm": "A", "reader": ["R1", "R2", "R3"],
    ...                        "criterion": "sharpness", "score": [3.0, 4.0, 5.0]})
    >>> summarise_readers(scores, plan)[0]["score"].tolist()
    [4.0]
    """
    if scores.empty:
        return pd.DataFrame({name: [] for name in SUMMARY_COLUMNS}), []
    keys = ["volunteer", "arm", "criterion"]
    n_readers = int(scores["reader"].nunique())
    cells = scores.groupby(keys, sort=False, observed=True)["score"]
    summaries = cells.count().rename("readers").reset_index()
    if plan.reader_summary == "each":
        each = scores[[*keys, "reader", "score"]].reset_index(drop=True)
        each["readers"] = each["score"].notna().astype(int)
        each["reader"] = each["reader"].astype(str)
        return each[SUMMARY_COLUMNS], _incomplete(summaries, scores, n_readers, plan)
    pooled = cells.median() if plan.reader_summary == "median" else cells.mean()
    summaries["score"] = pooled.to_numpy(dtype=np.float64)
    summaries["reader"] = ""
    if plan.missing == "complete":
        summaries.loc[summaries["readers"] < n_readers, "score"] = np.nan
    return summaries[SUMMARY_COLUMNS], _incomplete(summaries, scores, n_readers, plan)


def _incomplete(
    summaries: pd.DataFrame, scores: pd.DataFrame, n_readers: int, plan: AnalysisPlan
) -> list[PlanWarning]:
    found = []
    rule = (
        "left out, as the plan says"
        if plan.missing == "complete"
        else "summarised over the readers who scored"
    )
    if plan.reader_summary == "each":
        rule = "missing for that reader alone"
    short = summaries[summaries["readers"] < n_readers]
    empty = scores[scores["score"].isna()] if not short.empty else scores.iloc[:0]
    for (criterion, arm), group in short.groupby(["criterion", "arm"], sort=False):
        own = empty[(empty["criterion"] == criterion) & (empty["arm"] == arm)]
        verb = "volunteer lacks" if len(group) == 1 else "volunteers lack"
        unscored = int((group["readers"] == 0).sum())
        none = {0: "", 1: "; 1 has no score at all"}.get(
            unscored, f"; {unscored} have no score at all"
        )
        text = (
            f"{len(group)} {verb} the score of at least one of {n_readers} readers "
            f"({_some(group['volunteer'])}{_rows(own)}): {rule}{none}."
        )
        found.append(PlanWarning("score", str(criterion), str(arm), "", text))
    return found


def _some(volunteers: pd.Series) -> str:
    """The first volunteers by name, and how many more there are."""
    names = sorted(volunteers.astype(str))
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _rows(empty: pd.DataFrame) -> str:
    """Where the empty scores stand; a score whose row is absent has no place."""
    rows = [str(number + 1) for number in sorted(empty.index)]
    if not rows:
        return ""
    more = f" and {len(rows) - MOST_NAMED} more" if len(rows) > MOST_NAMED else ""
    noun = "row" if len(rows) == 1 else "rows"
    return f"; scores, {noun} {', '.join(rows[:MOST_NAMED])}{more}, column score"


def ratio_rows(derived: pd.DataFrame, plan: AnalysisPlan) -> Iterator[TableRow]:
    """SNR of each tissue, then CNR, in the plan's order.

    Examples
    --------
    >>> from analysis.example import example_study
    >>> from analysis.ratios import derive_ratios
    >>> study = example_study()
    >>> derived, _ = derive_ratios(study.regions, study.plan)
    >>> [(row.metric, row.row) for row in ratio_rows(derived, study.plan)][2:]
    [('SNR', 'muscle'), ('CNR', 'fat'), ('CNR', 'disc')]
    """
    for metric in ("SNR", "CNR"):
        for tissue in plan.tissues:
            part = derived[(derived["metric"] == metric) & (derived["tissue"] == tissue)]
            if not part.empty:
                everyone = derived["volunteer"].unique()
                yield TableRow(metric, tissue, "", _wide(part, "value", everyone, plan))


def score_rows(summaries: pd.DataFrame, plan: AnalysisPlan) -> Iterator[TableRow]:
    """Each criterion in the plan's order, and under it each reader who is analysed alone.

    Examples
    --------
    >>> from analysis.example import example_study
    >>> study = example_study()
    >>> summaries, _ = summarise_readers(study.scores, study.plan)
    >>> [row.row for row in score_rows(summaries, study.plan)]
    ['sharpness', 'artifact']
    """
    everyone = summaries["volunteer"].unique()
    readers = sorted(summaries["reader"].unique())
    for criterion in plan.criteria:
        for reader in readers:
            chosen = (summaries["criterion"] == criterion) & (summaries["reader"] == reader)
            yield TableRow(
                "score", criterion, reader, _wide(summaries[chosen], "score", everyone, plan)
            )


def _wide(
    part: pd.DataFrame, column: str, everyone: npt.NDArray[Any], plan: AnalysisPlan
) -> pd.DataFrame:
    wide = part.pivot(index="volunteer", columns="arm", values=column)
    # Volunteers in one fixed order: results must not depend on the order of the input rows.
    order = sorted(everyone, key=str)
    return wide.reindex(index=order, columns=list(plan.arms)).astype(np.float64)
