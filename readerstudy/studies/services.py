"""What is done to a study: created, changed while it is a draft, its members, its frozen protocol.

Each act authorises, validates, writes and leaves an event in the trail. An `actor` of `None` is the
platform itself (a command run by whoever owns the machine).
"""

from __future__ import annotations

import secrets
import string
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction

from readerstudy.accounts.errors import AccountError
from readerstudy.accounts.models import User
from readerstudy.accounts.services import do_invite_user
from readerstudy.audit.services import record

from .access import require_role
from .errors import StudyError
from .holding import hold_alone
from .models import Arm, Membership, Plan, Role, Site, Study
from .protocol import protocol_of, sha256_of

# Addresses under /studies/ that are not studies.
RESERVED_SLUGS = frozenset({"new"})

# What a coordinator may change of a draft, beside its arms, criteria and members.
SETTINGS = (
    "title",
    "description",
    "notice",
    "credits",
    "reading_mode",
    "side_policy",
    "minimum_gap",
    "repeat_percent",
    "occasions",
    "washout_days",
    "practice_items",
    "practice_volunteers",
    "pause_after_minutes",
    "pause_minutes",
    "may_go_back",
    "change_reason",
    "reading_instructions",
)


def check_is_draft(study: Study) -> None:
    """The protocol may change. Hold the study's row (`lock_study`) where a launch could race."""
    if not study.is_draft:
        raise StudyError(f"“{study.title}” has been launched: its protocol is frozen.")


def check_not_locked(study: Study) -> None:
    """Scores and regions may change."""
    if study.is_locked:
        raise StudyError(f"“{study.title}” is locked: no score or region may change any more.")


def lock_study(study: Study) -> Study:
    """The study's row as it stands now, held alone until the transaction ends (`holding`)."""
    hold_alone(study.pk)
    return Study.objects.get(pk=study.pk)


# --- Creating and changing a study ----------------------------------------------------------------


def may_create_studies(user: User | None) -> bool:
    """Administrators, and whoever already coordinates a study."""
    if user is None:
        return True
    if not user.is_active:
        return False
    return (
        user.is_administrator
        or Membership.objects.filter(user=user, role=Role.COORDINATOR).exists()
    )


def check_create_study(slug: str, actor: User | None) -> None:
    if not may_create_studies(actor):
        raise PermissionDenied("Studies are created by administrators and coordinators.")
    if slug in RESERVED_SLUGS:
        raise StudyError(f"The address “{slug}” is taken by the site itself: choose another.")
    if Study.objects.filter(slug=slug).exists():
        raise StudyError(f"The address “{slug}” is taken by another study: choose another.")


@transaction.atomic
def do_create_study(
    slug: str, title: str, actor: User | None, *, notice: str = "", credits: str = ""
) -> Study:
    """An empty draft with the default plan; its maker becomes its coordinator."""
    check_create_study(slug, actor)
    study = Study(slug=slug, title=title, notice=notice, credits=credits, created_by=actor)
    _clean(study)
    study.save(force_insert=True)
    Plan.objects.create(study=study)
    record(
        "studies.study.created",
        actor,
        study_id=study.pk,
        subject=study,
        new={"slug": slug, "title": title, "notice": notice},
    )
    if actor is not None:
        _add_member(study, actor, actor, Role.COORDINATOR, "")
    return study


@transaction.atomic
def do_update_study(study: Study, actor: User | None, **changes: Any) -> Study:
    """Change title, notice, reading rules … (see `SETTINGS`) of a draft."""
    require_role(actor, study, Role.COORDINATOR)
    study = lock_study(study)
    check_is_draft(study)
    unknown = sorted(set(changes) - set(SETTINGS))
    if unknown:
        raise StudyError(f"These cannot be changed here: {', '.join(unknown)}.")
    _update(study, actor, "studies.study.changed", study, changes)
    return study


@transaction.atomic
def do_update_arm(
    arm: Arm, actor: User | None, *, name: str | None = None, recipe: dict[str, Any] | None = None
) -> Arm:
    """Rename an arm of a draft, or change the recipe of a derived one."""
    require_role(actor, arm.study, Role.COORDINATOR)
    study = lock_study(arm.study)
    check_is_draft(study)
    changes: dict[str, Any] = {}
    if name is not None:
        changes["name"] = name
    if recipe is not None:
        if not arm.is_derived:
            raise StudyError(f"{arm.name} is an acquired arm: it has no recipe.")
        changes["recipe"] = recipe
    _update(arm, actor, "studies.arm.changed", study, changes)
    return arm


# --- Members --------------------------------------------------------------------------------------


def check_add_member(study: Study, actor: User | None, role: str, site: Site | None = None) -> None:
    require_role(actor, study, Role.COORDINATOR)
    if role not in Role.values:
        raise StudyError(f"There is no role “{role}”.")
    if site is not None and site.study_id != study.pk:
        raise StudyError("That is no site of this study.")
    if role == Role.SITE_COORDINATOR and site is None:
        raise StudyError("Choose the site whose coordinator this is.")
    if site is not None and role not in {Role.SITE_COORDINATOR, Role.READER}:
        raise StudyError(f"A {Role(role).label.lower()} is of the whole study: choose no site.")
    if role == Role.READER and not study.is_draft:
        raise StudyError("The reading order is stored: no reader can be added after the launch.")


@transaction.atomic
def do_add_member(
    study: Study,
    actor: User | None,
    user: User,
    role: str,
    reader_code: str = "",
    site: Site | None = None,
) -> Membership:
    """Give a person a role. A reader without a code gets the next free one: R1, R2, …

    `site`: whose coordinator it is, or whose volunteers a local reader reads.
    """
    study = lock_study(study)
    check_add_member(study, actor, role, site)
    return _add_member(study, actor, user, role, reader_code, site)


@transaction.atomic
def do_invite_member(
    study: Study, actor: User | None, email: str, name: str, role: str, site: Site | None = None
) -> tuple[Membership, str | None]:
    """Give a role to whoever has that address; whoever has no account yet is invited.

    Returns the membership and the invitation's link, to be shown once, or None for a person who
    already has an account.
    """
    study = lock_study(study)
    check_add_member(study, actor, role, site)
    email = email.strip().lower()
    user = User.objects.filter(email=email).first()
    link: str | None = None
    if user is None or not user.is_active:
        try:
            user, link = do_invite_user(actor, email, name)
        except AccountError as error:
            raise StudyError(str(error)) from None
    return _add_member(study, actor, user, role, "", site), link


@transaction.atomic
def do_remove_member(membership: Membership, actor: User | None) -> None:
    """Take a role from a person."""
    study = lock_study(membership.study)
    try:  # as it stands now: the study may have been launched since the page was made
        membership = Membership.objects.get(pk=membership.pk, study=study)
    except Membership.DoesNotExist:
        raise StudyError("That role was taken away already.") from None
    membership.study = study
    check_remove_member(membership, actor)
    record(
        "studies.member.removed",
        actor,
        study_id=study.pk,
        subject=membership,
        old={
            "user": membership.user_id,
            "role": membership.role,
            "reader_code": membership.reader_code,
            **site_in_trail(membership.site),
        },
    )
    membership.delete()


def check_remove_member(membership: Membership, actor: User | None) -> None:
    study = membership.study
    require_role(actor, study, Role.COORDINATOR)
    if membership.role == Role.READER and not study.is_draft:
        raise StudyError("The reading order is stored: no reader can leave after the launch.")
    if membership.role == Role.COORDINATOR:
        others = Membership.objects.filter(study=study, role=Role.COORDINATOR)
        if not others.exclude(pk=membership.pk).exists():
            raise StudyError("A study needs a coordinator: name another before this one leaves.")


def _add_member(
    study: Study,
    actor: User | None,
    user: User,
    role: str,
    reader_code: str,
    site: Site | None = None,
) -> Membership:
    if Membership.objects.filter(study=study, user=user, role=role).exists():
        raise StudyError(f"{user} already is {Role(role).label.lower()} in this study.")
    if role == Role.READER:
        reader_code = reader_code or next_reader_code(study)
    elif reader_code:
        raise StudyError("Only a reader has a reader code.")
    membership = Membership(study=study, user=user, role=role, reader_code=reader_code, site=site)
    _clean(membership)
    membership.save(force_insert=True)
    record(
        "studies.member.added",
        actor,
        study_id=study.pk,
        subject=membership,
        new={"user": user.pk, "role": role, "reader_code": reader_code, **site_in_trail(site)},
    )
    return membership


def site_in_trail(site: Site | None) -> dict[str, str]:
    """What an event says of a site; nothing in a study that has none."""
    return {"site": site.code} if site is not None else {}


def next_reader_code(study: Study) -> str:
    taken = set(Membership.objects.filter(study=study).values_list("reader_code", flat=True))
    number = 1
    while f"R{number}" in taken:
        number += 1
    return f"R{number}"


# --- Freezing -------------------------------------------------------------------------------------


def freeze_protocol(study: Study, images: dict[str, dict[str, str]]) -> str:
    """Write the protocol and its hash on the study; returns the hash. Does not save.

    `images` names what will be read: {volunteer code: {arm code: SHA-256 of the volume}}. For the
    launch alone, which authorises, holds the study's row and audits.
    """
    check_is_draft(study)
    study.protocol = {**protocol_of(study), "images": images}
    study.protocol_sha256 = sha256_of(study.protocol)
    return study.protocol_sha256


def draw_arm_letters(study: Study) -> dict[str, str]:
    """A fresh random letter for each arm: {"DF": "C", …}. The key of the blind: never audited."""
    codes = list(study.arms.values_list("code", flat=True))
    if len(codes) > len(string.ascii_uppercase):
        raise StudyError(f"A study can have {len(string.ascii_uppercase)} arms at most.")
    letters = list(string.ascii_uppercase[: len(codes)])
    secrets.SystemRandom().shuffle(letters)
    return dict(zip(codes, letters, strict=True))


# --- Shared ---------------------------------------------------------------------------------------


def _clean(instance: Study | Arm | Membership) -> None:
    try:
        # No person made what the platform made: the field may be empty, though no form offers it.
        instance.full_clean(exclude={"created_by"})
    except ValidationError as error:
        raise StudyError.from_validation(error) from None


def _update(
    instance: Study | Arm, actor: User | None, action: str, study: Study, changes: dict[str, Any]
) -> None:
    old = {field: getattr(instance, field) for field in changes}
    changed = {field: value for field, value in changes.items() if old[field] != value}
    if not changed:
        return
    for field, value in changed.items():
        setattr(instance, field, value)
    _clean(instance)
    instance.save(update_fields=list(changed))
    record(
        action,
        actor,
        study_id=study.pk,
        subject=instance,
        old={field: old[field] for field in changed},
        new=changed,
    )
