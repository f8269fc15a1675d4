"""Each site by itself: what its volunteers' images got, arm by arm. Descriptive, no test.

The values are those of the tables: a volunteer's score is the readers' summary that the plan names,
over whoever read that volunteer. A reader of one site alone counts for that site alone.
"""

from __future__ import annotations

import pandas as pd

from .report import Report

NO_SITE = "–"
COLUMNS = ("metric", "row", "site", "arm", "n", "readers", "mean", "sd", "median")


def values_by_volunteer(report: Report) -> pd.DataFrame:
    """metric, row, volunteer, arm, value: scores first, then SNR and CNR, as the tables take them.

    Where the plan summarises no readers ("each"), a volunteer's mean over the readers stands.
    """
    scores, derived = report.frames[0], report.results.derived
    if report.plan.reader_summary == "each":
        keys = ["criterion", "volunteer", "arm"]
        summaries = scores.groupby(keys, sort=False, as_index=False)["score"].mean()
    else:
        summaries = report.results.summaries
    parts = []
    if not summaries.empty:
        renamed = summaries.rename(columns={"criterion": "row", "score": "value"})
        parts.append(renamed.assign(metric="score"))
    if not derived.empty:
        parts.append(derived.rename(columns={"tissue": "row"}))
    columns = ["metric", "row", "volunteer", "arm", "value"]
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat([part[columns] for part in parts], ignore_index=True)


def site_frame(report: Report) -> pd.DataFrame:
    """One row a metric, row, site and arm, in the order of the tables."""
    values = values_by_volunteer(report).dropna(subset=["value"])
    values = values.assign(site=[report.site_of.get(c, NO_SITE) for c in values["volunteer"]])
    readers = _readers(report)
    sites = [*report.sites, NO_SITE]
    records = []
    groups = dict(list(values.groupby(["metric", "row"])))
    for metric, row in _in_order(report):
        group = groups.get((metric, row))
        if group is None:
            continue
        for site in sites:
            for arm in report.plan.arms:
                own = group[(group["site"] == site) & (group["arm"] == arm)]["value"].astype(float)
                if own.empty:
                    continue
                records.append(
                    {
                        "metric": metric,
                        "row": row,
                        "site": site,
                        "arm": arm,
                        "n": len(own),
                        "readers": readers.get(site, 0) if metric == "score" else None,
                        "mean": own.mean(),
                        "sd": own.std(ddof=1) if len(own) > 1 else float("nan"),
                        "median": own.median(),
                    }
                )
    frame = pd.DataFrame(records, columns=list(COLUMNS))
    return frame.astype({"readers": "Int64"})


def _in_order(report: Report) -> list[tuple[str, str]]:
    """Metrics and rows as the tables have them, scores first."""
    cells = report.results.descriptives
    pairs = list(dict.fromkeys(zip(cells["metric"], cells["row"], strict=True)))
    return sorted(pairs, key=lambda pair: pair[0] != "score")


def _readers(report: Report) -> dict[str, int]:
    """How many readers scored volunteers of each site."""
    scores = report.frames[0]
    if scores.empty:
        return {}
    sites = scores["volunteer"].map(lambda code: report.site_of.get(code, NO_SITE))
    return {str(site): int(n) for site, n in scores.groupby(sites)["reader"].nunique().items()}
