"""Questions about a study, each answered in one place."""

from __future__ import annotations

from readerstudy.accounts.models import User

from .models import Arm, Membership, Role, Site, Study


def control_arm(study: Study) -> Arm | None:
    return Arm.objects.filter(study=study, is_control=True).first()


def arms_of(study: Study) -> list[Arm]:
    """In protocol order."""
    return list(Arm.objects.filter(study=study).select_related("source"))


def derived_arms_of(source: Arm) -> list[Arm]:
    """The arms whose recipe starts from `source`."""
    return list(Arm.objects.filter(source=source).select_related("source"))


def takes_thick_slices(arm: Arm) -> bool:
    """Whether a derived arm is made from slices that were scanned thick, on a grid of their own."""
    recipe = arm.recipe if isinstance(arm.recipe, dict) else {}
    is_transfer = recipe.get("method") == "transfer" and recipe.get("factor") != 1
    return bool(is_transfer and recipe.get("thick", "acquired") == "acquired")


def unread_arms(study: Study) -> list[Arm]:
    """The arms that nobody reads: thick slices from which thin ones are made.

    They lie on a grid of their own, so no reader can see them beside the control. An acquired arm
    is one of them if all that is made from it takes thick slices and no comparison names it.
    """
    compared = set(study.comparisons.values_list("first", "second"))
    named = {key for pair in compared for key in pair}
    made: dict[int, list[bool]] = {}
    arms = list(study.arms.all())
    for arm in arms:
        if arm.source_id is not None:
            made.setdefault(arm.source_id, []).append(takes_thick_slices(arm))
    return [
        arm
        for arm in arms
        if not (arm.is_derived or arm.is_control)
        and arm.pk not in named
        and arm.pk in made
        and all(made[arm.pk])
    ]


def reader_memberships(study: Study) -> list[Membership]:
    """The readers, in the order of their codes (R2 before R10)."""
    readers = Membership.objects.filter(study=study, role=Role.READER).select_related(
        "user", "site"
    )
    return sorted(readers, key=lambda member: (len(member.reader_code), member.reader_code))


def imported_readers(study: Study) -> list[str]:
    """The codes of the readers whose scores came in from a table."""
    found = study.sessions.filter(is_imported=True).values_list("reader_code", flat=True)
    return sorted(set(found), key=lambda code: (len(code), code))


def members_of(study: Study) -> list[Membership]:
    """Everyone, grouped by role: coordinators, readers by code, statisticians."""
    order = {role: index for index, role in enumerate(Role.values)}
    members = Membership.objects.filter(study=study).select_related("user", "site")
    return sorted(
        members,
        key=lambda m: (order[m.role], len(m.reader_code), m.reader_code, m.user.email),
    )


def sites_of(study: Study) -> list[Site]:
    return list(Site.objects.filter(study=study))


def reads_only(user: User, study: Study) -> bool:
    """Whether the person knows of the study as a reader and in no other way: nothing about arms or
    volunteers may be shown."""
    if user.is_administrator:
        return False
    roles = set(Membership.objects.filter(study=study, user=user).values_list("role", flat=True))
    return not roles & {Role.COORDINATOR, Role.SITE_COORDINATOR, Role.STATISTICIAN}
