"""The analysis plan as a JSON document: versioned, checked against a schema, refused in words."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

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
    try:
        document = json.loads(text, object_pairs_hook=_no_twice, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise PlanError(
            f"plan, line {error.lineno}, column {error.colno}: no JSON here ({error.msg})."
        ) from None
    if isinstance(document, dict) and document.get("format") == FORMAT:
        version = document.get("version")
        if version != VERSION:
            raise PlanError(
                f"plan, version: this program reads version {VERSION}, not {version!r}."
            )
    faults = sorted(_validator().iter_errors(document), key=lambda fault: _place(fault))
    if faults:
        raise PlanError(" ".join(f"{_place(fault)}: {_plain(fault)}." for fault in faults))
    entries = {name: value for name, value in document.items() if name not in ("format", "version")}
    return AnalysisPlan.from_dict(entries)


@lru_cache(maxsize=1)
def _validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


def _place(fault: ValidationError) -> str:
    steps = "".join(
        f"[{step}]" if isinstance(step, int) else f", {step}" for step in fault.absolute_path
    )
    return f"plan{steps}"


def _plain(fault: ValidationError) -> str:
    # "oneOf" (a value or null) says only that nothing fitted; what the value lacks stands below it.
    causes = [cause for cause in fault.context or () if cause.validator != "type"]
    return causes[0].message if causes else fault.message


def _no_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise PlanError(f"plan, {name}: the entry is there twice.")
        found[name] = value
    return found


def _no_constant(name: str) -> float:
    raise PlanError(f"plan: {name} is not a number that JSON knows.")
