"""On which slice a tissue is to be measured: the protocol's rule, as a suggestion."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import transaction

from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.imaging.geometry import Geometry
from readerstudy.studies.access import require_role
from readerstudy.studies.models import Role, Study, Tissue
from readerstudy.studies.services import check_is_draft, lock_study

from .errors import MeasurementError

Rule = Tissue.SliceRule
# From the middle to beside the spinal canal.
PARAMEDIAN_MM = 10.0


def rules_of(study: Study) -> dict[int, str]:
    """{tissue key: rule}."""
    return {tissue.pk: tissue.slice_rule for tissue in study.tissues.all()}


def suggested_slice(rule: str, grid: Geometry) -> int | None:
    """Index of the slice that the rule asks for; None where any will do."""
    central = (grid.slices - 1) // 2
    if rule == Rule.ANY:
        return None
    if rule == Rule.PARAMEDIAN:
        steps = max(1, round(PARAMEDIAN_MM / grid.slice_spacing))
        return min(grid.slices - 1, central + steps)
    return central


@transaction.atomic
def do_set_slice_rules(study: Study, rules: Mapping[str, str], actor: User | None) -> None:
    """Set the rules of a draft by tissue code."""
    require_role(actor, study, Role.COORDINATOR)
    study = lock_study(study)
    check_is_draft(study)
    tissues = {tissue.code: tissue for tissue in Tissue.objects.filter(study=study)}
    before = rules_of(study)
    changed: dict[str, str] = {}
    for code, rule in rules.items():
        if code not in tissues:
            raise MeasurementError(f"The study has no tissue “{code}”.")
        if rule not in Rule.values:
            raise MeasurementError(f"{tissues[code].name}: there is no slice rule “{rule}”.")
        if before[tissues[code].pk] != rule:
            tissues[code].slice_rule = rule
            tissues[code].save(update_fields=["slice_rule"])
            changed[code] = rule
    if changed:
        record(
            "measurements.slice_rules.changed",
            actor,
            study_id=study.pk,
            subject=study,
            old={code: before[tissues[code].pk] for code in changed},
            new=changed,
        )
