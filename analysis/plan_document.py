"""The analysis plan as a JSON document: versioned, checked against a schema, refused in words."""

import json
from pathlib import Path

from analysis.json_document import read_document
from analysis.plan import AnalysisPlan, PlanError

FORMAT = "readerstudy-analysis-plan"
VERSION = 1
SCHEMA = Path(__file__).with_name("plan.schema.json")


def write_plan(plan: AnalysisPlan) -> str:
    """The plan as the text of a JSON document.

    Parameters
    ----------
    plan : AnalysisPlan

    Returns
    -------
    str
        Indented JSON with format and version; the same text for the same plan.

    Examples
    --------
    >>> plan = AnalysisPlan(arms=("A", "B"), control="A", comparisons=(("A", "B"),))
    >>> print(write_plan(plan)[:60])
    {
      "format": "readerstudy-analysis-plan",
      "version": 1,
    """
    document = {"format": FORMAT, "version": VERSION, **plan.to_dict()}
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def read_plan(text: str) -> AnalysisPlan:
    """Read a plan from the text of its JSON document.

    Parameters
    ----------
    text : str

    Returns
    -------
    AnalysisPlan

    Raises
    ------
    PlanError
        If the text is no JSON (with line and column), names an entry twice, does not fit the schema
        (every fault with its place), or contradicts itself.

    Examples
    --------
    >>> plan = AnalysisPlan(arms=("A", "B"), control="A", comparisons=(("A", "B"),))
    >>> read_plan(write_plan(plan)) == plan
    True
    >>> read_plan(write_plan(plan).replace('"row"', '"table"'))
    Traceback (most recent call last):
    ...
    analysis.plan.PlanError: plan, family: 'table' is not one of ['row', 'column', 'stage', 'all'].
    """
    return AnalysisPlan.from_dict(read_document(text, "plan", SCHEMA, PlanError))
