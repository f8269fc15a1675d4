"""The results as one JSON document, strict JSON with null for what does not exist."""

import json
import math
from importlib.metadata import version
from typing import Any

import pandas as pd

from analysis.plan_document import FORMAT as PLAN_FORMAT
from analysis.plan_document import VERSION as PLAN_VERSION
from analysis.run import Results
from analysis.tables import result_tables

FORMAT = "readerstudy-results"
VERSION = 1
SOFTWARE = ("numpy", "scipy", "pandas", "statsmodels")


def write_results(results: Results, inputs: dict[str, str] | None = None) -> str:
    """The results as the text of a JSON document.

    Parameters
    ----------
    results : Results
    inputs : dict of str to str, optional
        SHA-256 of each file that was read, by what it is ("scores").

    Returns
    -------
    str
        format, version, software, inputs, plan, and one list of records for each table; every
        number reads back as the same float64, a missing one is null.

    Examples
    --------
    >>> from analysis.plan import AnalysisPlan
    >>> from analysis.run import run_plan
    >>> plan = AnalysisPlan(arms=("A", "B"), control="A", comparisons=(("A", "B"),))
    >>> document = json.loads(write_results(run_plan(pd.DataFrame(), pd.DataFrame(), plan)))
    >>> document["format"], document["version"], document["tests"]
    ('readerstudy-results', 1, [])
    """
    document: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "software": {name: version(name) for name in SOFTWARE},
        "inputs": inputs or {},
        "plan": {"format": PLAN_FORMAT, "version": PLAN_VERSION, **results.plan.to_dict()},
    }
    for name, frame in result_tables(results).items():
        document[name.removesuffix(".csv")] = _records(frame)
    return json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {str(name): _plain(value) for name, value in record.items()}
        for record in frame.to_dict("records")
    ]


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):
        value = value.item()
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    return value
