"""Who may see how a derived series came about, with its images under the name of their arm."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser
from django.http import Http404

from readerstudy.accounts.models import User
from readerstudy.studies.access import get_study, has_role, roles_in
from readerstudy.studies.models import Role, Study


def may_see_evidence(user: User | AnonymousUser, study: Study) -> bool:
    """Coordinators and administrators of the study, as long as no second role keeps them blind.

    Who also reads may not see images beside their arm's name while scores can change. Who is also
    the statistician, coordinator or not, works with letters until unblinding: how strongly an arm
    was denoised would tell which letter is which.
    """
    if not has_role(user, study, Role.COORDINATOR):
        return False
    roles = roles_in(user, study)
    if Role.READER in roles and not study.is_locked:
        return False
    return Role.STATISTICIAN not in roles or study.is_unblinded


def get_evidence_study(user: User | AnonymousUser, slug: str) -> Study:
    """The study for whoever may see evidence in it, else 404."""
    study = get_study(user, slug, Role.COORDINATOR)
    if not may_see_evidence(user, study):
        raise Http404("No such study.")
    return study
