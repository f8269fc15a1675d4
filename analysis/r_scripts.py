"""R scripts that recompute the tables, or fit what no maintained Python package fits."""

from pathlib import Path

import pandas as pd

from analysis.input_checks import first_occasion
from analysis.noise import noise_estimate
from analysis.plan import AnalysisPlan

TEMPLATE = Path(__file__).with_name("recompute_tables.R")


def recompute_script(plan: AnalysisPlan) -> str:
    """An R script that recomputes Tables 2 and 3 from ratings_long.csv and roi_long.csv.

    Parameters
    ----------
    plan : AnalysisPlan
        Its choices stand at the head of the script.

    Returns
    -------
    str
        Runs with base R; the exact test needs the package exactRankTests. The script shares no code
        with this package: it is the second opinion.

    Examples
    --------
    >>> plan = AnalysisPlan(arms=("A", "B"), control="A", comparisons=(("A", "B"),))
    >>> 'arms <- c("A", "B")' in recompute_script(plan)
    True
    """
    estimate = noise_estimate(plan.noise_estimate)
    pairs = ", ".join(_vector(pair) for pair in plan.comparisons)
    lines = [
        f"arms <- {_vector(plan.arms)}",
        f"comparisons <- list({pairs}) # effects are the second minus the first",
        f"criteria <- {_vector(plan.criteria)}",
        f"tissues <- {_vector(plan.tissues)}",
        f"air <- {_text(plan.air)}",
        f"reference_tissue <- {_text(plan.reference_tissue)}",
        f"noise_kind <- {_text(estimate.kind)}",
        f"noise_divisor <- {estimate.divisor!r} # {estimate.name}",
        f"reader_summary <- {_text(plan.reader_summary)}",
        f"missing <- {_text(plan.missing)}",
        f"method <- {_text(plan.method)}",
        f"zeros <- {_text(plan.zeros)}",
        f"family <- {_text(plan.family)}",
        f"decimals <- {plan.decimals}",
    ]
    return TEMPLATE.read_text(encoding="utf-8").replace("@PLAN@", "\n".join(lines))


def mixed_model_script(plan: AnalysisPlan) -> str:
    """An R script that fits a cumulative link mixed model to each criterion.

    Parameters
    ----------
    plan : AnalysisPlan

    Returns
    -------
    str
        Needs R's package ordinal; volunteers and readers are random, the control is the reference.

    Examples
    --------
    >>> plan = AnalysisPlan(arms=("A", "B"), control="B", comparisons=(("A", "B"),))
    >>> 'levels = c("B", "A")' in mixed_model_script(plan)
    True
    """
    arms = (plan.control, *(arm for arm in plan.arms if arm != plan.control))
    return f"""# Cumulative link mixed models: arms fixed, volunteers and readers random.
# Needs the package ordinal. Odds ratios above 1 mean higher scores than the control.
library(ordinal)
ratings <- read.csv("ratings_long.csv", na.strings = "", fileEncoding = "UTF-8")
if ("occasion" %in% names(ratings)) ratings <- ratings[ratings$occasion == 1, ]
ratings$arm <- factor(ratings$arm, levels = {_vector(arms)})
ratings$volunteer <- factor(ratings$volunteer)
ratings$reader <- factor(ratings$reader)
for (criterion in {_vector(plan.criteria)}) {{
  part <- ratings[ratings$criterion == criterion & !is.na(ratings$score), ]
  part$score <- factor(part$score, ordered = TRUE)
  cat("\\n==", criterion, "==\\n")
  fit <- clmm(score ~ arm + (1 | volunteer) + (1 | reader), data = part)
  print(summary(fit))
  print(exp(cbind(odds_ratio = coef(fit), confint.default(fit))[grep("^arm", names(coef(fit))), ]))
}}
"""


def imrmc_layout(scores: pd.DataFrame, plan: AnalysisPlan, criterion: str) -> str:
    """One criterion's scores in the layout that iMRMC reads.

    Parameters
    ----------
    scores : pandas.DataFrame
        Checked scores; an optional column truth holds 1 where the volunteer has the finding and 0
        where not. Without it the readings alone are written and the user adds the truth.
    plan : AnalysisPlan
    criterion : str

    Returns
    -------
    str
        A header, "BEGIN DATA:", and lines reader, case, modality, score; the truth of a case is the
        line of reader -1 under modality 0.

    Raises
    ------
    ValueError
        If the plan has no such criterion.

    Examples
    --------
    >>> plan = AnalysisPlan(arms=("A", "B"), control="A", comparisons=(("A", "B"),),
    ...                     criteria=("sharpness",))
    >>> scores = pd.DataFrame([("V1", "A", "R1", "sharpness", 3.0)],
    ...                       columns=["volunteer", "arm", "reader", "criterion", "score"])
    >>> print(imrmc_layout(scores, plan, "sharpness").splitlines()[-1])
    R1,V1,A,3
    """
    if criterion not in plan.criteria:
        raise ValueError(f'The plan has no criterion "{criterion}".')
    part = first_occasion(scores)
    part = part[(part["criterion"] == criterion) & part["score"].notna()].copy()
    part["arm"] = pd.Categorical(part["arm"], list(plan.arms))
    part = part.sort_values(["reader", "volunteer", "arm"])
    lines = [
        f"Reader study, criterion {criterion}; arms {', '.join(plan.arms)}",
        f"NR: {part['reader'].nunique()}",
        f"N0: {_with_truth(part, 0)}",
        f"N1: {_with_truth(part, 1)}",
        f"NM: {part['arm'].nunique()}",
        "BEGIN DATA:",
    ]
    if "truth" in part.columns:
        truth = part.drop_duplicates("volunteer").set_index("volunteer")["truth"].sort_index()
        lines += [f"-1,{case},0,{int(value)}" for case, value in truth.items()]
    lines += [
        f"{row.reader},{row.volunteer},{row.arm},{row.score:g}"
        for row in part.itertuples(index=False)
    ]
    return "\n".join(lines) + "\n"


def _with_truth(part: pd.DataFrame, value: int) -> int:
    if "truth" not in part.columns:
        return 0
    return int(part.loc[part["truth"] == value, "volunteer"].nunique())


def _text(value: str) -> str:
    """A string of R's: backslash and quote escaped, line breaks too."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\n", "\\n").replace("\r", "\\r") + '"'


def _vector(values: tuple[str, ...]) -> str:
    return f"c({', '.join(_text(value) for value in values)})" if values else "character()"
