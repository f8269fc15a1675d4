"""The sites of a study: added and taken away while it is a draft, renamed until it is locked."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import RestrictedError

from readerstudy.accounts.models import User
from readerstudy.audit.services import record

from .access import require_role
from .errors import StudyError
from .models import Membership, Role, Site, Study
from .services import check_is_draft, check_not_locked, lock_study


@transaction.atomic
def do_add_site(study: Study, actor: User | None, code: str, name: str) -> Site:
    require_role(actor, study, Role.COORDINATOR)
    study = lock_study(study)
    check_is_draft(study)
    code, name = code.strip(), name.strip()
    taken = Site.objects.filter(study=study)
    if taken.filter(code__iexact=code).exists() or taken.filter(name__iexact=name).exists():
        raise StudyError(f"The study has a site “{code}” or “{name}” already.")
    site = Site(study=study, code=code, name=name)
    _clean(site)
    site.save(force_insert=True)
    record(
        "studies.site.added",
        actor,
        study_id=study.pk,
        subject=site,
        new={"code": code, "name": name},
    )
    return site


@transaction.atomic
def do_rename_site(site: Site, actor: User | None, name: str) -> Site:
    """Another name; the code, which tables and exports say, stays."""
    require_role(actor, site.study, Role.COORDINATOR)
    study = lock_study(site.study)
    check_not_locked(study)
    old, site.name = site.name, name.strip()
    if old == site.name:
        return site
    _clean(site)
    site.save(update_fields=["name"])
    record(
        "studies.site.renamed",
        actor,
        study_id=study.pk,
        subject=site,
        old={"name": old},
        new={"code": site.code, "name": site.name},
    )
    return site


@transaction.atomic
def do_remove_site(site: Site, actor: User | None) -> None:
    """Take away a site that nobody and nothing belongs to."""
    require_role(actor, site.study, Role.COORDINATOR)
    study = lock_study(site.study)
    check_is_draft(study)
    if Membership.objects.filter(site=site).exists():
        raise StudyError(f"{site.name} has members: take their roles away first.")
    record("studies.site.removed", actor, study_id=study.pk, subject=site, old={"code": site.code})
    try:
        site.delete()
    except RestrictedError:
        raise StudyError(
            f"{site.name} has volunteers or uploads: give the volunteers another site first."
        ) from None


def _clean(site: Site) -> None:
    try:
        site.full_clean()
    except ValidationError as error:
        raise StudyError.from_validation(error) from None
