"""Who may do what in a study: plain querysets, default deny.

A study that a person has no part in does not exist for that person (404). Roles add up: a
coordinator who also reads holds both. Administrators manage people and studies but do not score.

A site coordinator is no coordinator: whatever asks for that role refuses them. Pages and acts that
are theirs too ask for `get_reach` or `require_site`, and keep to the site that it names.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404

from readerstudy.accounts.models import User

from .models import Membership, Role, Site, Study


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
    held = Membership.objects.filter(user=user).values_list("role", flat=True).distinct()
    return {f"{role.removeprefix('site_')}s" for role in held}


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


# --- Sites ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reach:
    """How far a coordinator sees: the whole study, or one site of it."""

    study: Study
    site: Site | None = None  # None: the whole study

    def covers(self, site_id: int | None) -> bool:
        """Whether what belongs to that site is theirs. What belongs to none is the study's."""
        return self.site is None or self.site.pk == site_id

    def within(self, path: str = "site") -> dict[str, Site]:
        """The words of a filter: `Volunteer.objects.filter(study=study, **reach.within())`."""
        return {} if self.site is None else {path: self.site}


def reach_in(user: User | AnonymousUser | None, study: Study) -> Reach | None:
    """Of a coordinator or a site coordinator; None of anybody else. `None` is the platform."""
    if user is None or has_role(user, study, Role.COORDINATOR):
        return Reach(study)
    if not isinstance(user, User) or not user.is_active:
        return None
    own = Membership.objects.filter(study=study, user=user, role=Role.SITE_COORDINATOR)
    membership = own.select_related("site").first()
    return Reach(study, membership.site) if membership is not None and membership.site else None


def get_reach(user: User | AnonymousUser, slug: str) -> Reach:
    """The study of that address for whoever coordinates it or a site of it, else 404."""
    study = studies_for(user).filter(slug=slug).first()
    reach = reach_in(user, study) if study is not None else None
    if reach is None:
        raise Http404("No such study.")
    return reach


def require_reach(user: User | None, study: Study) -> Reach:
    """For services: raises `PermissionDenied` unless the person coordinates study or site."""
    reach = reach_in(user, study)
    if reach is None:
        raise PermissionDenied("This needs a coordinator of the study, or of a site of it.")
    return reach


def require_site(user: User | None, study: Study, site_id: int | None) -> None:
    """For services: raises `PermissionDenied` unless what belongs to that site is the person's."""
    if not require_reach(user, study).covers(site_id):
        raise PermissionDenied("This belongs to another site.")
