"""The statistician's acts in their order, and how far a study is."""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import reverse

from readerstudy.accounts.models import User
from readerstudy.studies.access import has_role
from readerstudy.studies.models import PlanVersion, Role, Study


@dataclass(frozen=True)
class Step:
    label: str
    address: str  # empty: another person's to do
    state: str  # "done", "now" or "" (later)


_BOTH = (Role.COORDINATOR, Role.STATISTICIAN)
_ACTS: tuple[tuple[str, str, tuple[Role, ...]], ...] = (
    ("Sign the plan", "plan", _BOTH),
    ("Lock", "lock", (Role.COORDINATOR,)),
    ("Read masked results", "results", (Role.STATISTICIAN,)),
    ("Unblind", "results_unblind", (Role.STATISTICIAN,)),
    ("Export", "results_exports", _BOTH),
)


def steps_of(study: Study, user: User, *, at_the_key: bool = False) -> list[Step]:
    """Plan, lock, masked results, unblinding, export; the first that is not done is now.

    Nothing records that somebody has read the masked results to their end. Whoever stands at the
    key (`at_the_key`) has gone past them: unblinding is now, without a tick that nobody gave.
    """
    signed = PlanVersion.objects.filter(study=study).exists()
    done = [signed, study.is_locked, study.is_unblinded, study.is_unblinded, False]
    steps, is_found = [], False
    for (label, name, roles), is_done in zip(_ACTS, done, strict=True):
        is_passed = is_done or (at_the_key and name == "results")
        state = "done" if is_done else "" if is_found or is_passed else "now"
        is_found = is_found or not is_passed
        may = has_role(user, study, *roles)
        steps.append(Step(label, reverse(name, args=[study.slug]) if may else "", state))
    return steps
