"""How folders and headers call the arms of a study."""

from __future__ import annotations

from readerstudy.studies.models import Arm, Study


def plain(code: str) -> str:
    return code.casefold().replace("-", "_")


def arms_by_name(study: Study) -> dict[str, Arm]:
    """Acquired and derived arms by code and by name."""
    arms = list(study.arms.all())
    return {plain(arm.name): arm for arm in arms} | {plain(arm.code): arm for arm in arms}
