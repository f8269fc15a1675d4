"""Who may do what in a study: plain querysets, default deny.

A study that a person has no part in does not exist for that person (404). Roles add up: a
coordinator who also reads holds both. Administrators manage people and studies but do not score.
"""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404

from readerstudy.accounts.models import User

from .models import Membership, Role, Study


def studies_for(user: User | AnonymousUser) -> QuerySet[Study]:
    """The studies that a person may know of."""
    if not isinstance(user, User) or not user.is_active:
        return Study.objects.none()
    if user.is_administrator:
        return Study.objects.all()
    return Study.objects.filter(memberships__user=user).distinct()


def roles_in(user: User | AnonymousUser, study: Study) -> frozenset[str]:
    if not isinstance(user, User) or not user.is_active:
        return frozenset()
    return frozenset(
        Membership.objects.filter(study=study, user=user).values_list("role", flat=True)
    )


def kinds_of(user: User) -> set[str]:
    """What a person is in any study at all, as the setting SECOND_FACTOR_FOR names it."""
    return {
        f"{role}s"
        for role in Membership.objects.filter(user=user).values_list("role", flat=True).distinct()
    }


def get_study(user: User | AnonymousUser, slug: str, *roles: str) -> Study:
    """The study of that address for a person who holds one of `roles` in it, else 404.

    Administrators pass for every role but reader: nobody scores by virtue of an office.
    """
    try:
        study = studies_for(user).get(slug=slug)
    except Study.DoesNotExist:
        raise Http404("No such study.") from None
    if not has_role(user, study, *roles):
        raise Http404("No such study.")
    return study


def has_role(user: User | AnonymousUser, study: Study, *roles: str) -> bool:
    held = roles_in(user, study)
    if held & set(roles):
        return True
    return isinstance(user, User) and user.is_administrator and any(r != Role.READER for r in roles)


def require_role(user: User | None, study: Study, *roles: str) -> None:
    """For services: raises `PermissionDenied` unless the person holds one of `roles`.

    `None` is the platform itself (a command run by whoever owns the machine) and passes.
    """
    if user is not None and not has_role(user, study, *roles):
        raise PermissionDenied(f"This needs the role {' or '.join(roles)} in the study.")
