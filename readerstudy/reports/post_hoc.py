"""When the plan was signed, what was decided late, and how every result of it says so.

`signing` is the one place that decides. A report carries it; its notice, which stands in every
table, figure, file and answer, begins with its mark: of a plan that was signed when the key was
open (post hoc), or changed when masked results could be seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from analysis import PlanError
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import PlanVersion, Study

from .models import Exclusion, Unblinding
from .plan_wording import moment_of
from .plans import frozen_plan, plan_sha256

# How the sentences begin that a report is marked with.
BEGINNINGS = ("POST HOC: ", "Sensitivity analysis without ", "AMENDED AFTER THE LOCK: ")


@dataclass(frozen=True)
class Signing:
    """Which version of the plan the results rest on, and when it was signed."""

    number: int
    signed_at: datetime
    moment: str  # "before the launch", "after the lock, before unblinding"
    post_hoc: str = ""  # the mark of a plan that was signed when the arms were known
    amended: str = ""  # the mark of a plan that was changed when masked results could be seen

    @property
    def text(self) -> str:
        return f"version {self.number}, signed on {self.signed_at:%Y-%m-%d}, {self.moment}"


def signing(version: PlanVersion | None, opened: Unblinding | None = None) -> Signing | None:
    """None where no version is signed."""
    if version is None:
        return None
    said = amendment_mark(version)
    at, moment = version.signed_at, moment_of(version)
    return Signing(version.number, at, moment, mark(version, opened), said)


def amendment_mark(version: PlanVersion) -> str:
    """One sentence for a plan that was changed between the lock and the unblinding; else empty.

    A first signature under what the launch had frozen changes nothing.
    """
    if version.study_state != Study.State.LOCKED or not _changes(version):
        return ""
    # Without the reason, which may name an arm: it stands beside the version.
    return (
        f"AMENDED AFTER THE LOCK: analysis plan version {version.number}, signed on "
        f"{version.signed_at:%Y-%m-%d}, after the lock and before unblinding, when masked results "
        "could be seen."
    )


def _changes(version: PlanVersion) -> bool:
    """Whether a version says something else than what stood before it."""
    if version.number > 1:
        return True
    try:
        return plan_sha256(frozen_plan(version.study)) != version.sha256
    except (StudyError, PlanError):
        return True


def is_post_hoc(version: PlanVersion | None) -> bool:
    """Signed when the arms were known."""
    return version is not None and version.study_state == Study.State.UNBLINDED


def mark(version: PlanVersion | None, opened: Unblinding | None) -> str:
    """One sentence for results of a plan that was signed after the unblinding; else empty."""
    if version is None or not is_post_hoc(version):
        return ""
    after = "after the unblinding"
    if opened is not None:
        after += f" of {opened.at:%Y-%m-%d}"
        if opened.plan_version is not None:
            after += f" under version {opened.plan_version.number}"
    return (
        f"POST HOC: analysis plan version {version.number}, signed on "
        f"{version.signed_at:%Y-%m-%d}, {after}. Reason: {' '.join(version.reason.split())}"
    )


def marked(frame: pd.DataFrame, notice: str) -> pd.DataFrame:
    """A table that leaves by itself, every row with the mark; as it is where there is none."""
    if not notice.startswith(BEGINNINGS) or "notice" in frame.columns:
        return frame
    return frame.assign(notice=notice)


def exclusion_mark(left_out: list[Exclusion]) -> str:
    """What a sensitivity analysis leaves out; post hoc where it was decided with the key open."""
    if not left_out:
        return ""
    codes = ", ".join(f"{one.get_kind_display().lower()} {one.code}" for one in left_out)
    late = any(one.is_post_hoc for one in left_out)
    return f"{'POST HOC: s' if late else 'S'}ensitivity analysis without {codes}"
