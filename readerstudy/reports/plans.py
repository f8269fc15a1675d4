"""The analysis plan of a study, as `analysis` takes it, and its hash.

The plan is read from the protocol as it was frozen, never from rows that could have changed since.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis import AnalysisPlan, PlanError
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Study, Tissue
from readerstudy.studies.protocol import protocol_of, sha256_of


def plan_of(study: Study) -> AnalysisPlan:
    """The frozen plan; of a draft, the plan as it stands. Raises `StudyError` when none fits."""
    protocol: dict[str, Any] = study.protocol or protocol_of(study)
    settings = protocol["plan"]
    if settings is None:
        raise StudyError("The study has no analysis plan.")
    arms = protocol["arms"]
    purposes = {tissue["code"]: tissue["purpose"] for tissue in protocol["tissues"]}
    points = {len(criterion["anchors"]) for criterion in protocol["criteria"]}
    # Protocols that were frozen before there were modes hold none.
    mode = protocol["reading"].get("mode", Study.ReadingMode.RELATIVE)
    asked = tuple(criterion["code"] for criterion in protocol["criteria"])
    has_points = mode in {Study.ReadingMode.RELATIVE, Study.ReadingMode.ABSOLUTE}
    try:
        return AnalysisPlan(
            arms=tuple(arm["code"] for arm in arms),
            control=next((arm["code"] for arm in arms if arm["is_control"]), ""),
            comparisons=tuple((first, second) for first, second in protocol["comparisons"]),
            criteria=asked if has_points else (),
            choice_criteria=asked if mode == Study.ReadingMode.CHOICE else (),
            ranking_criteria=asked if mode == Study.ReadingMode.RANKING else (),
            tissues=tuple(
                code for code, purpose in purposes.items() if purpose != Tissue.Purpose.AIR
            ),
            air=_only(purposes, Tissue.Purpose.AIR),
            reference_tissue=_only(purposes, Tissue.Purpose.REFERENCE),
            noise_estimate=settings["noise_estimate"],
            reader_summary=settings["reader_summary"],
            method=settings["method"],
            zeros=settings["zeros"],
            family=settings["family"],
            alpha=settings["alpha"],
            decimals=settings["decimals"],
            dlr_arms=tuple(arm["code"] for arm in arms if _is_processed(arm)),
            score_range=(1.0, float(points.pop())) if has_points and len(points) == 1 else None,
        )
    except PlanError as error:
        raise StudyError(f"The analysis plan cannot be run: {error}") from None


def plan_sha256(plan: AnalysisPlan) -> str:
    return sha256_of(plan.to_dict())


def masked_plan(plan: AnalysisPlan, letters: Mapping[str, str]) -> AnalysisPlan:
    """The plan over letters, ordered so that no order tells an arm.

    Arms stand by letter, comparisons by their letters with the earlier letter first (so the sign of
    a difference follows the letters, not the design), no arm is marked as processed, and "control"
    is merely the first letter: nothing that is computed depends on it.
    """
    settings = plan.to_dict()
    arms = sorted(letters[code] for code in plan.arms)
    pairs = sorted(sorted((letters[a], letters[b])) for a, b in plan.comparisons)
    return AnalysisPlan.from_dict(
        {**settings, "arms": arms, "control": arms[0], "comparisons": pairs, "dlr_arms": []}
    )


def _only(purposes: Mapping[str, str], purpose: str) -> str:
    return next((code for code, given in purposes.items() if given == purpose), "")


def _is_processed(arm: Mapping[str, Any]) -> bool:
    """A derived arm went through a reconstruction or a filter, unless its recipe simulates."""
    method = str((arm["recipe"] or {}).get("method", ""))
    return arm["kind"] == "derived" and not method.startswith("simulat")
