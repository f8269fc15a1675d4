"""The protocol as plain data, its canonical text and its hash."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from .models import Arm, Membership, Plan, Role, Study
from .selectors import unread_arms

PROTOCOL_VERSION = 3


def canonical_json(content: Any) -> str:
    """One text for one content: keys sorted, no spaces, ASCII, no NaN."""
    return json.dumps(
        content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )


def sha256_of(content: Any) -> str:
    return hashlib.sha256(canonical_json(content).encode("ascii")).hexdigest()


def protocol_of(study: Study) -> dict[str, Any]:
    """Everything that was decided before reading: arms, criteria, comparisons, regions, plan.

    Readers appear by their codes alone. The order of each list is the protocol's own order.
    """
    return {
        "version": PROTOCOL_VERSION,
        "study": {
            "slug": study.slug,
            "title": study.title,
            "description": study.description,
            "notice": study.notice,
            "credits": study.credits,
        },
        **_arms(study),
        "criteria": [
            {"code": c.code, "name": c.name, "question": c.question, "anchors": c.anchors}
            for c in study.criteria.all()
        ],
        "comparisons": [
            [c.first.code, c.second.code]
            for c in study.comparisons.select_related("first", "second")
        ],
        "tissues": [
            {
                "code": t.code,
                "name": t.name,
                "purpose": t.purpose,
                "area_mm2": t.area_mm2,
                "slice_rule": t.slice_rule,
            }
            for t in study.tissues.all()
        ],
        "reading": {
            "mode": study.reading_mode,
            "side_policy": study.side_policy,
            "minimum_gap": study.minimum_gap,
            "repeat_percent": study.repeat_percent,
            "occasions": study.occasions,
            "washout_days": study.washout_days,
            "practice_items": study.practice_items,
            "practice_volunteers": study.practice_volunteers,
            "pause_after_minutes": study.pause_after_minutes,
            "pause_minutes": study.pause_minutes,
            "may_go_back": study.may_go_back,
            "change_reason": study.change_reason,
            **_warning_maps(study),
            "instructions": study.reading_instructions,
            "readers": list(
                Membership.objects.filter(study=study, role=Role.READER)
                .order_by("reader_code")
                .values_list("reader_code", flat=True)
            ),
        },
        "plan": _plan(study),
        "planning": study.planning,
        **_sites(study),
    }


def _arms(study: Study) -> dict[str, Any]:
    """Those that are read and, where there are any, those that others are made from alone."""
    unread = {arm.pk for arm in unread_arms(study)}
    arms = list(study.arms.select_related("source"))
    found = {"arms": [_arm(arm) for arm in arms if arm.pk not in unread]}
    if unread:
        found["source_arms"] = [_arm(arm) for arm in arms if arm.pk in unread]
    return found


def _warning_maps(study: Study) -> dict[str, Any]:
    """Nothing in a study whose readers see none, as in all that were launched before there were."""
    if study.warning_maps == Study.WarningMaps.NEVER:
        return {}
    return {"warning_maps": study.warning_maps}


def _sites(study: Study) -> dict[str, Any]:
    """Sites, and who reads the volunteers of one alone; nothing in a study without sites."""
    sites = list(study.sites.all())
    if not sites:
        return {}
    local = Membership.objects.filter(study=study, role=Role.READER, site__isnull=False)
    return {
        "sites": [{"code": site.code, "name": site.name} for site in sites],
        "local_readers": dict(
            local.order_by("reader_code").values_list("reader_code", "site__code")
        ),
    }


def _arm(arm: Arm) -> dict[str, Any]:
    return {
        "code": arm.code,
        "name": arm.name,
        "kind": arm.kind,
        "is_control": arm.is_control,
        "source": arm.source.code if arm.source else None,
        "recipe": arm.recipe,
    }


def _plan(study: Study) -> dict[str, Any] | None:
    plan = Plan.objects.filter(study=study).first()
    return plan.settings() if plan is not None else None
