"""What was decided after the key was open, and how every result of it says so.

`mark` is the one place that decides. A report carries the mark; its notice, which stands in every
table, figure, file and answer, begins with it.
"""

from __future__ import annotations

import pandas as pd

from readerstudy.studies.models import PlanVersion, Study

from .models import Exclusion, Unblinding

# How the sentences begin that a report is marked with.
BEGINNINGS = ("POST HOC: ", "Sensitivity analysis without ")


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
