"""Reading a versioned JSON document against its schema; faults are said in words, with place."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError


def read_document(
    text: str, name: str, schema: Path, error: type[ValueError] = ValueError
) -> dict[str, Any]:
    """The entries of a JSON document that fits its schema.

    Parameters
    ----------
    text : str
    name : str
        What the document is called in messages ("plan").
    schema : pathlib.Path
        A JSON schema whose properties ``format`` and ``version`` are constants.
    error : type
        What is raised.

    Returns
    -------
    dict
        Without format and version.

    Raises
    ------
    ValueError
        Or `error`: the text is no JSON (with line and column), names an entry twice, is of another
        version, or does not fit the schema (every fault with its place).

    Examples
    --------
    >>> schema = Path(__file__).with_name("plan.schema.json")
    >>> read_document('{"arms": [}', "plan", schema)
    Traceback (most recent call last):
    ...
    ValueError: plan, line 1, column 11: no JSON here (Expecting value).
    """

    def no_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for entry, value in pairs:
            if entry in found:
                raise error(f"{name}, {entry}: the entry is there twice.")
            found[entry] = value
        return found

    def no_constant(constant: str) -> float:
        raise error(f"{name}: {constant} is not a number that JSON knows.")

    try:
        document = json.loads(text, object_pairs_hook=no_twice, parse_constant=no_constant)
    except json.JSONDecodeError as fault:
        raise error(
            f"{name}, line {fault.lineno}, column {fault.colno}: no JSON here ({fault.msg})."
        ) from None
    except RecursionError:
        raise error(f"{name}: nested too deeply to be one.") from None
    validator = _validator(schema)
    known = validator.schema["properties"]  # type: ignore[index]
    if isinstance(document, dict) and document.get("format") == known["format"]["const"]:
        version, wanted = document.get("version"), known["version"]["const"]
        if version != wanted:
            raise error(f"{name}, version: this program reads version {wanted}, not {version!r}.")
    faults = sorted(validator.iter_errors(document), key=_place)
    if faults:
        raise error(" ".join(f"{name}{_place(fault)}: {_plain(fault)}." for fault in faults))
    return {entry: value for entry, value in document.items() if entry not in ("format", "version")}


@lru_cache(maxsize=4)
def _validator(schema: Path) -> Draft202012Validator:
    return Draft202012Validator(json.loads(schema.read_text(encoding="utf-8")))


def _place(fault: ValidationError) -> str:
    return "".join(
        f"[{step}]" if isinstance(step, int) else f", {step}" for step in fault.absolute_path
    )


def _plain(fault: ValidationError) -> str:
    # "oneOf" (a value or null) says only that nothing fitted; what the value lacks stands below it.
    causes = [cause for cause in fault.context or () if cause.validator not in ("type", "const")]
    return causes[0].message if causes else fault.message
