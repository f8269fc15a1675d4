"""What every column of the exported data means: its type, unit, values and labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd

from readerstudy.reports.report import Report
from readerstudy.studies.models import Study

POINTS = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class Variable:
    """A column of a table; `labels` say what each value stands for."""

    table: str
    name: str
    label: str
    kind: str  # text, whole number, number
    unit: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


def variables(study: Study, report: Report) -> list[Variable]:
    """The variables of the three long tables and of the wide one."""
    arms = arm_labels(report)
    criteria = {row["code"]: row["name"] for row in report.data["criteria"]}
    tissues = {row["code"]: row["name"] for row in report.data["tissues"]}
    volunteer = ("volunteer", "Volunteer (study code)", "text")
    reader = ("reader", "Reader (code)", "text")
    noise = report.plan.noise_estimate
    found = [
        Variable("ratings_long", *volunteer),
        Variable("ratings_long", "arm", "Arm", "text", labels=arms),
        Variable("ratings_long", *reader),
        Variable("ratings_long", "criterion", "Criterion", "text", labels=criteria),
        Variable("ratings_long", "score", "Score", "number", "points", _shared_anchors(study)),
        Variable("ratings_wide", *volunteer),
        Variable("ratings_wide", "arm", "Arm", "text", labels=arms),
        Variable("ratings_wide", *reader),
    ]
    points = point_labels(study)
    found += [
        Variable("ratings_wide", code, name, "number", "points", points.get(code, {}))
        for code, name in criteria.items()
    ]
    found += [
        Variable("roi_long", *volunteer),
        Variable("roi_long", "arm", "Arm", "text", labels=arms),
        Variable("roi_long", "tissue", "Region", "text", labels=tissues),
        Variable("roi_long", "mean", "Mean signal of the region", "number", "signal"),
        Variable("roi_long", "sd", "SD of the signal (n − 1)", "number", "signal"),
        Variable("roi_long", "n_pixels", "Pixels whose centre lies inside", "whole number"),
        Variable("roi_long", "area_mm2", "Area of the region", "number", "mm²"),
    ]
    extra = {
        "sd_difference": ("SD of the difference of two acquisitions", "number"),
        "n_zero": ("Pixels of value zero", "whole number"),
        "n_at_limits": ("Pixels at the limits of the stored range", "whole number"),
    }
    for name in report.data["region_columns"]:
        if name in extra:
            found.append(Variable("roi_long", name, *extra[name]))
    found += [
        Variable("derived_long", *volunteer),
        Variable("derived_long", "arm", "Arm", "text", labels=arms),
        Variable("derived_long", "tissue", "Region", "text", labels=tissues),
        Variable("derived_long", "metric", "Ratio", "text", labels={"SNR": "SNR", "CNR": "CNR"}),
        Variable("derived_long", "value", f"Value under the noise estimate {noise}", "number"),
        Variable("derived_long", "noise_estimate", "Noise estimate", "text"),
    ]
    return _with_sites(report, found)


def _with_sites(report: Report, found: list[Variable]) -> list[Variable]:
    """The site stands behind the volunteer in every table, in a study that has sites."""
    if not report.sites:
        return found
    placed: list[Variable] = []
    for variable in found:
        placed.append(variable)
        if variable.name == "volunteer":
            placed.append(
                Variable(variable.table, "site", "Site (code)", "text", labels=report.sites)
            )
    return placed


def arm_labels(report: Report) -> dict[str, str]:
    """Names beside codes; before unblinding, letters alone."""
    if report.is_masked:
        return {code: f"Arm {code}" for code in report.arm_names}
    return dict(report.arm_names)


def point_labels(study: Study) -> dict[str, dict[str, str]]:
    """The wording of the points 1 to 5, by criterion."""
    protocol: dict[str, Any] = study.protocol or {}
    return {
        row["code"]: {str(at): str(text) for at, text in enumerate(row["anchors"], start=1)}
        for row in protocol.get("criteria", [])
    }


def _shared_anchors(study: Study) -> dict[str, str]:
    """The wording that all criteria share; the wide table has each criterion's own."""
    found = list(point_labels(study).values())
    return found[0] if found and all(labels == found[0] for labels in found) else {}


def dictionary_document(found: list[Variable]) -> dict[str, Any]:
    tables: dict[str, list[dict[str, Any]]] = {}
    for variable in found:
        record = asdict(variable)
        tables.setdefault(record.pop("table"), []).append(record)
    return {"format": "readerstudy dictionary 1", "missing": "an empty cell", "tables": tables}


def dictionary_frame(found: list[Variable]) -> pd.DataFrame:
    records = [
        {
            "table": variable.table,
            "variable": variable.name,
            "label": variable.label,
            "type": variable.kind,
            "unit": variable.unit,
            "values": "; ".join(f"{code} = {text}" for code, text in variable.labels.items()),
        }
        for variable in found
    ]
    return pd.DataFrame(records, columns=["table", "variable", "label", "type", "unit", "values"])


def ratings_wide(report: Report) -> pd.DataFrame:
    """One row a volunteer, arm and reader; one column a criterion, in protocol order."""
    scores = report.frames[0]
    keys = ["volunteer", "arm", "reader"]
    codes = [row["code"] for row in report.data["criteria"]]
    if scores.empty:
        return pd.DataFrame(columns=[*keys, *codes])
    wide = scores.pivot(index=keys, columns="criterion", values="score").reindex(columns=codes)
    wide.columns = pd.Index(codes)
    order = {arm: at for at, arm in enumerate(report.plan.arms)}
    wide = wide.reset_index()
    wide["_order"] = [order[arm] for arm in wide["arm"]]
    return wide.sort_values(["volunteer", "_order", "reader"]).drop(columns="_order")
