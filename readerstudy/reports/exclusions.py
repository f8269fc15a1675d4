"""Volunteers and readers whom an analysis leaves out after the lock, and what that changes.

The frozen data stay as they are and the planned results rest on all of them. Beside those stands
the same analysis without the excluded: a sensitivity analysis, comparison by comparison.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from analysis import AnalysisPlan
from analysis.tables import format_q
from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.studies.access import require_role, roles_in
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Role, Study
from readerstudy.studies.services import lock_study

from .models import Exclusion
from .post_hoc import exclusion_mark
from .report import Report, computed
from .selectors import Document
from .snapshots import standing_snapshot

REASON_LENGTH = 500
# Columns of the data document that name a volunteer and a reader.
_TABLES = (
    ("scores", "score_columns"),
    ("regions", "region_columns"),
    ("choices", "choice_columns"),
    ("rankings", "ranking_columns"),
)


def exclusions_of(study: Study) -> list[Exclusion]:
    """Those that stand, in the order in which they were made."""
    found = Exclusion.objects.filter(study=study, takes_back=None, taken_back_by=None)
    return list(found.select_related("by").order_by("pk"))


def every_exclusion(study: Study) -> list[Exclusion]:
    """Those that were taken back too."""
    found = Exclusion.objects.filter(study=study, takes_back=None)
    return list(found.select_related("by", "taken_back_by__by").order_by("pk"))


def codes_in(study: Study) -> dict[str, list[str]]:
    """Volunteers and readers that the frozen data hold."""
    snapshot = standing_snapshot(study)
    if snapshot is None:
        return {kind: [] for kind in Exclusion.Kind.values}
    return {kind: _codes(snapshot.data, kind) for kind in Exclusion.Kind.values}


def _codes(data: Document, kind: str) -> list[str]:
    codes = {
        row[data[columns].index(kind)]
        for table, columns in _TABLES
        if data.get(table) and kind in data[columns]
        for row in data[table]
    }
    return sorted(codes, key=lambda code: (len(code), code))


# --- The acts -------------------------------------------------------------------------------------


def check_exclude(study: Study, actor: User | None, kind: str, code: str, reason: str) -> None:
    _check_may(study, actor)
    if kind not in Exclusion.Kind.values or code not in codes_in(study)[kind]:
        raise StudyError(f"The frozen data hold no {kind} “{code}”.")
    standing = [one for one in exclusions_of(study) if one.kind == kind]
    if code in {one.code for one in standing}:
        raise StudyError(f"The {kind} {code} is excluded already.")
    if len(standing) + 1 >= len(codes_in(study)[kind]):
        raise StudyError(f"Without the {kind} {code} nothing would be left to analyse.")
    _check_reason(reason)


def _check_may(study: Study, actor: User | None) -> None:
    require_role(actor, study, Role.STATISTICIAN)
    if actor is not None and Role.READER in roles_in(actor, study) and not study.is_unblinded:
        raise PermissionDenied("Whoever reads in a study decides nothing on its results.")
    if not study.is_locked:
        raise StudyError("Lock the study first: until then a volunteer withdraws, or is read.")


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise StudyError("Give the reason: it stands beside the results.")
    if len(reason) > REASON_LENGTH:
        raise StudyError(f"The reason is too long: {REASON_LENGTH} characters at most.")


@transaction.atomic
def do_exclude(study: Study, actor: User | None, kind: str, code: str, reason: str) -> Exclusion:
    study = lock_study(study)
    check_exclude(study, actor, kind, code, reason)
    exclusion = _write(study, actor, kind, code, reason, None)
    record(
        "reports.exclusion.made",
        actor,
        study_id=study.pk,
        subject=exclusion,
        new={kind: code, "state": study.state},
        why=exclusion.reason,
    )
    return exclusion


@transaction.atomic
def do_take_back(exclusion: Exclusion, actor: User | None, reason: str) -> Exclusion:
    """The excluded count again; both rows stay."""
    study = lock_study(exclusion.study)
    _check_may(study, actor)
    _check_reason(reason)
    if exclusion.takes_back_id or Exclusion.objects.filter(takes_back=exclusion).exists():
        raise StudyError(f"The exclusion of {exclusion.code} was taken back already.")
    back = _write(study, actor, exclusion.kind, exclusion.code, reason, exclusion)
    record(
        "reports.exclusion.taken_back",
        actor,
        study_id=study.pk,
        subject=back,
        old={exclusion.kind: exclusion.code},
        why=back.reason,
    )
    return back


def _write(
    study: Study, actor: User | None, kind: str, code: str, reason: str, back: Exclusion | None
) -> Exclusion:
    return Exclusion.objects.create(
        study=study,
        kind=kind,
        code=code,
        reason=reason.strip(),
        takes_back=back,
        study_state=study.state,
        by=actor,
        at=timezone.now(),
    )


# --- With and without -----------------------------------------------------------------------------


def without(report: Report, left_out: list[Exclusion]) -> Report:
    """The same analysis over the data without the excluded; marked as what it is."""
    data = dict(report.data)
    for one in left_out:
        for table, columns in _TABLES:
            if data.get(table) and one.kind in data[columns]:
                at = data[columns].index(one.kind)
                data[table] = [row for row in data[table] if row[at] != one.code]
    mark = " – ".join(part for part in (exclusion_mark(left_out), report.post_hoc) if part)
    found = computed(data, report.plan, report.plan_sha256, report.is_masked)
    return replace(found, signing=report.signing, post_hoc=mark, _figures={})


@dataclass(frozen=True)
class Side:
    n: int
    difference: str
    p: str
    q: str
    significant: bool


@dataclass(frozen=True)
class WithAndWithout:
    row: str
    metric: str
    reader: str
    comparison: str
    whole: Side
    less: Side

    @property
    def decision_changes(self) -> bool:
        return self.whole.significant != self.less.significant


def with_and_without(report: Report, less: Report) -> list[WithAndWithout]:
    """Every planned test over all data and without the excluded."""
    keys = ["metric", "row", "reader", "a", "b"]
    other = {tuple(row[k] for k in keys): row for row in less.results.tests.to_dict("records")}
    found = []
    for row in report.results.tests.to_dict("records"):
        twin = other.get(tuple(row[k] for k in keys))
        if twin is None:
            continue
        found.append(
            WithAndWithout(
                row=report.row_names.get(row["row"], row["row"]),
                metric=row["metric"],
                reader=row["reader"],
                comparison=f"{_name(report, row['a'])} v {_name(report, row['b'])}",
                whole=_side(row, report.plan),
                less=_side(twin, report.plan),
            )
        )
    return found


def _name(report: Report, code: str) -> str:
    return code if report.is_masked else report.arm_names.get(code, code)


def _side(row: dict[str, Any], plan: AnalysisPlan) -> Side:
    n = int(row["n"])
    if not n:
        return Side(0, "–", "–", "–", False)
    return Side(
        n,
        f"{row['mean_difference']:.3g}".replace("-", "−"),
        format_q(row["p"], plan.alpha),
        format_q(row["q"], plan.alpha),
        bool(row["significant"]),
    )
