"""Who may see results, and in which form.

Statisticians and administrators: masked after the lock, named after unblinding. Coordinators know
which scan is which, so they wait for the unblinding. Whoever reads in the study never sees results
before it, whatever other role or office that person holds; readers alone never do.
"""

from __future__ import annotations

import enum

from readerstudy.accounts.models import User
from readerstudy.studies.access import get_study, has_role, roles_in
from readerstudy.studies.models import Role, Study


class View(enum.Enum):
    """What a person gets of the results."""

    REFUSED = "refused"  # not this person, not yet
    PROGRESS = "progress"  # not locked: counts alone
    MASKED = "masked"  # locked: letters for arms
    NAMED = "named"  # unblinded


def get_results_study(user: User, slug: str) -> Study:
    """The study for whoever may know that it has results, else 404."""
    return get_study(user, slug, Role.COORDINATOR, Role.STATISTICIAN)


def view_for(user: User | None, study: Study) -> View:
    """`None` is the platform itself (a command run by whoever owns the machine)."""
    if study.is_unblinded:
        return View.NAMED
    if user is not None and why_refused(user, study):
        return View.REFUSED
    return View.MASKED if study.is_locked else View.PROGRESS


def why_refused(user: User, study: Study) -> str:
    """Why a person may see nothing before unblinding, for people; empty when nothing hinders."""
    if Role.READER in roles_in(user, study):
        return (
            "You read in this study. Its results open to you after unblinding, so that no score "
            "can be given in the knowledge of a result."
        )
    roles = roles_in(user, study)
    # Coordinators know which scan is which; holding a second role does not make them forget.
    if Role.COORDINATOR in roles or not has_role(user, study, Role.STATISTICIAN):
        return (
            "Results open to coordinators after unblinding. Until then the statistician works "
            "with letters in place of the arms."
        )
    return ""
