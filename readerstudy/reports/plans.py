"""The analysis plan of a study, as `analysis` takes it, and its hash.

What counts is the last signed version; as long as none is signed, the plan that the launch froze,
and in a draft the plan as it stands. Arms, comparisons, criteria and regions are the design's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis import AnalysisPlan, PlanError
from analysis.plan_document import read_plan, write_plan
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Plan, PlanVersion, Study, Tissue
from readerstudy.studies.plan_models import PLAN_SETTINGS
from readerstudy.studies.protocol import protocol_of, sha256_of

Settings = Mapping[str, Any]
# What a signed plan takes from the design; the names are those of its document.
_ENTRIES = {
    "arms": "arms",
    "control": "control",
    "comparisons": "comparisons",
    "criteria": "criteria",
    "choice_criteria": "criteria",
    "ranking_criteria": "criteria",
    "tissues": "regions",
    "air": "regions",
    "reference_tissue": "regions",
    "dlr_arms": "arms",
    "score_range": "criteria",
}


def plan_of(study: Study) -> AnalysisPlan:
    """The plan in force. Raises `StudyError` when none fits."""
    version = last_version(study)
    return frozen_plan(study) if version is None else signed_plan(study, version)


def last_version(study: Study) -> PlanVersion | None:
    versions = PlanVersion.objects.filter(study=study).select_related("signed_by")
    return versions.order_by("-number").first()


def signed_plan(study: Study, version: PlanVersion) -> AnalysisPlan:
    """The plan of a version, if it still fits the design and its hash."""
    if sha256_of(version.document) != version.sha256:
        raise StudyError(
            f"Version {version.number} of the analysis plan no longer matches its signed hash: it "
            "was changed behind the platform's back. Restore the database from a backup."
        )
    try:
        plan = AnalysisPlan.from_dict(version.document)
    except PlanError as error:
        raise StudyError(f"Version {version.number} of the plan cannot be run: {error}") from None
    faults = design_faults(plan, study)
    if faults:
        raise StudyError(*faults, f"Sign the plan again: version {version.number} is of before.")
    return plan


def frozen_plan(study: Study) -> AnalysisPlan:
    """Without a signature: the plan that the launch froze; of a draft, the plan as it stands."""
    protocol = _protocol(study)
    if protocol["plan"] is None:
        raise StudyError("The study has no analysis plan.")
    return _built(protocol, protocol["plan"])


def drafted_plan(study: Study) -> AnalysisPlan:
    """The plan as it is being written: what would be signed now."""
    return _built(_protocol(study), Plan.objects.get(study=study).settings())


def _protocol(study: Study) -> dict[str, Any]:
    return study.protocol or protocol_of(study)


def _built(protocol: Mapping[str, Any], settings: Settings) -> AnalysisPlan:
    try:
        return build_plan(protocol, settings)
    except PlanError as error:
        raise StudyError(f"The analysis plan cannot be run: {error}") from None


def build_plan(protocol: Mapping[str, Any], settings: Settings) -> AnalysisPlan:
    """Design and settings together, held to the plan's schema. Raises `PlanError`."""
    # Protocols that were frozen before the plan held all of its choices leave some out.
    chosen = {name: settings[name] for name in PLAN_SETTINGS if name in settings}
    return read_plan(write_plan(AnalysisPlan.from_dict({**design_entries(protocol), **chosen})))


def design_entries(protocol: Mapping[str, Any]) -> dict[str, Any]:
    """What the plan takes from the design: arms, comparisons, criteria, regions."""
    arms = protocol["arms"]
    purposes = {tissue["code"]: tissue["purpose"] for tissue in protocol["tissues"]}
    points = {len(criterion["anchors"]) for criterion in protocol["criteria"]}
    # Protocols that were frozen before there were modes hold none.
    mode = protocol["reading"].get("mode", Study.ReadingMode.RELATIVE)
    asked = [criterion["code"] for criterion in protocol["criteria"]]
    has_points = mode in {Study.ReadingMode.RELATIVE, Study.ReadingMode.ABSOLUTE}
    return {
        "arms": [arm["code"] for arm in arms],
        "control": next((arm["code"] for arm in arms if arm["is_control"]), ""),
        "comparisons": [list(pair) for pair in protocol["comparisons"]],
        "criteria": asked if has_points else [],
        "choice_criteria": asked if mode == Study.ReadingMode.CHOICE else [],
        "ranking_criteria": asked if mode == Study.ReadingMode.RANKING else [],
        "tissues": [code for code, purpose in purposes.items() if purpose != Tissue.Purpose.AIR],
        "air": _only(purposes, Tissue.Purpose.AIR),
        "reference_tissue": _only(purposes, Tissue.Purpose.REFERENCE),
        "dlr_arms": [arm["code"] for arm in arms if _is_processed(arm)],
        "score_range": [1.0, float(points.pop())] if has_points and len(points) == 1 else None,
    }


def design_faults(plan: AnalysisPlan, study: Study) -> list[str]:
    """Where a plan and the study's design differ, in sentences: an arm that is not there …"""
    design = design_entries(_protocol(study))
    given = {**{name: [] for name in _ENTRIES}, **plan.to_dict()}
    faults = []
    for name, words in (("arms", "arm"), ("criteria", "criterion"), ("tissues", "region")):
        wanted = [code for code in given[name] if code not in design[name]]
        lacking = [code for code in design[name] if code not in given[name]]
        faults += [
            f"The plan names the {words} “{c}”, which the study does not have." for c in wanted
        ]
        faults += [f"The plan leaves out the {words} “{c}” of the study." for c in lacking]
    unknown = [
        c
        for c in (*plan.choice_criteria, *plan.ranking_criteria)
        if c not in (*design["choice_criteria"], *design["ranking_criteria"])
    ]
    faults += [f"The plan asks for “{c}”, which no reader is asked here." for c in unknown]
    for pair in given["comparisons"]:
        if pair not in design["comparisons"]:
            faults.append(f"The plan compares {' v '.join(pair)}, which the design does not.")
    for pair in design["comparisons"]:
        if pair not in given["comparisons"]:
            faults.append(f"The plan leaves out the comparison {' v '.join(pair)} of the design.")
    if not faults:
        differing = dict.fromkeys(w for n, w in _ENTRIES.items() if _of(given, n) != design[n])
        faults += [f"The plan and the design differ in the {words}." for words in differing]
    return faults


def _of(given: Mapping[str, Any], name: str) -> Any:
    value = given.get(name)
    return [list(one) for one in value or ()] if name == "comparisons" else value


# Under these no setting hinders another, so that each can be tried alone.
_HARMLESS: Settings = {"noise_estimate": "tissue_sd"}


def faults_by_setting(study: Study, settings: Settings) -> dict[str, str]:
    """What `analysis` says against the settings, each at its own; under "" what is the design's."""
    protocol = _protocol(study)
    whole = _fault(protocol, settings)
    if not whole:
        return {}
    of_design = _fault(protocol, _HARMLESS)
    if of_design:
        return {"": of_design}
    alone = {name: _fault(protocol, {**_HARMLESS, name: settings[name]}) for name in settings}
    found = {name: fault for name, fault in alone.items() if fault}
    return found or {"": whole}


def _fault(protocol: Mapping[str, Any], settings: Settings) -> str:
    try:
        build_plan(protocol, settings)
    except PlanError as error:
        return str(error)
    return ""


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
