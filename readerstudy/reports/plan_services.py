"""Writing, signing and amending the analysis plan.

Coordinators and statisticians write and sign it. A signature freezes the whole document under its
SHA-256; an amendment is a further version with a reason. After the unblinding a plan can still be
signed: whatever comes of it is post hoc and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from analysis import PlanError
from analysis.plan_document import read_plan
from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.studies.access import require_role
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Plan, PlanVersion, Role, Study
from readerstudy.studies.plan_models import PLAN_SETTINGS
from readerstudy.studies.services import lock_study

from .plan_wording import MEANINGS
from .plans import design_faults, drafted_plan, faults_by_setting, last_version, plan_sha256

REASON_LENGTH = 500
MOST_BYTES = 1 << 20


class PlanFaults(StudyError):
    """Faults of a plan by the setting that they are in; "" holds those of the whole."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        super().__init__(*faults.values())
        self.faults = dict(faults)


class StalePlan(StudyError):
    """Somebody else changed the plan since the page was opened."""


def may_write(actor: User | None, study: Study) -> None:
    require_role(actor, study, Role.COORDINATOR, Role.STATISTICIAN)


# --- Writing --------------------------------------------------------------------------------------


def check_save_plan(study: Study, actor: User | None, settings: Mapping[str, Any]) -> None:
    may_write(actor, study)
    unknown = sorted(set(settings) - set(PLAN_SETTINGS))
    if unknown:
        raise StudyError(f"A plan has no {', '.join(unknown)}.")
    faults = faults_by_setting(study, settings)
    if faults:
        raise PlanFaults(faults)


@transaction.atomic
def do_save_plan(
    study: Study, actor: User | None, settings: Mapping[str, Any], revision: int | None = None
) -> Plan:
    """Change the plan as it is being written. `revision` is the one that the page was made from."""
    study = lock_study(study)
    plan = Plan.objects.select_for_update().get(study=study)
    if revision is not None and revision != plan.revision:
        who = f" by {plan.changed_by}" if plan.changed_by else ""
        when = f" at {plan.changed_at:%H:%M} UTC" if plan.changed_at else ""
        raise StalePlan(
            f"The plan was changed{who}{when}, after this page was opened. Nothing was saved: what "
            "you entered is still here, beside it what is stored now. Save again to put yours in "
            "its place."
        )
    check_save_plan(study, actor, settings)
    old = plan.settings()
    changed = {name: value for name, value in settings.items() if old[name] != value}
    if not changed:
        return plan
    for name, value in changed.items():
        setattr(plan, name, value)
    plan.revision += 1
    plan.changed_by, plan.changed_at = actor, timezone.now()
    plan.save()
    record(
        "reports.plan.changed",
        actor,
        study_id=study.pk,
        subject=plan,
        old={name: old[name] for name in changed},
        new=changed,
    )
    return plan


def settings_from_file(study: Study, content: bytes) -> dict[str, Any]:
    """The settings of a plan document, if it is of this design. Raises `StudyError`."""
    if len(content) > MOST_BYTES:
        raise StudyError("The file is larger than 1 MB: it is no analysis plan.")
    try:
        plan = read_plan(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise StudyError("The file is no text in UTF-8: it is no analysis plan.") from None
    except PlanError as error:
        raise StudyError(f"The file cannot be read: {error}") from None
    faults = design_faults(plan, study)
    if faults:
        raise StudyError(*faults)
    return {
        name: list(value) if isinstance(value := getattr(plan, name), tuple) else value
        for name in PLAN_SETTINGS
    }


# --- Signing --------------------------------------------------------------------------------------


def check_sign_plan(
    study: Study, actor: User | None, meaning: str, reason: str
) -> tuple[dict[str, Any], str]:
    """The document that would be signed, and its hash. Raises `StudyError`."""
    may_write(actor, study)
    document = drafted_plan(study).to_dict()
    sha256 = plan_sha256(drafted_plan(study))
    last = last_version(study)
    if last is not None and last.sha256 == sha256:
        raise StudyError(
            f"Version {last.number} says the same and was signed by {last.signed_name} on "
            f"{last.signed_at:%Y-%m-%d at %H:%M} UTC: there is nothing new to sign."
        )
    if meaning not in dict(MEANINGS):
        raise StudyError("Say what your signature means.")
    if actor is not None and not str(actor.name).strip():
        raise StudyError("Your account has no name to sign with: enter it under Account first.")
    if last is not None and not reason.strip():
        raise StudyError(
            f"This amends version {last.number}: give the reason, which every reader of the "
            "results will see."
        )
    if len(reason) > REASON_LENGTH:
        raise StudyError(f"The reason is too long: {REASON_LENGTH} characters at most.")
    return document, sha256


@transaction.atomic
def do_sign_plan(
    study: Study,
    actor: User | None,
    *,
    meaning: str = "author",
    reason: str = "",
    shown_sha256: str = "",
) -> PlanVersion:
    """Sign the plan as it stands. `shown_sha256` is the hash of what the person saw.

    The caller has asked for the password again.
    """
    study = lock_study(study)
    document, sha256 = check_sign_plan(study, actor, meaning, reason)
    if shown_sha256 and shown_sha256 != sha256:
        raise StalePlan(
            "The plan or the design was changed after this page was opened. Nothing was signed: "
            "read the plan again as it stands now."
        )
    last = last_version(study)
    version = PlanVersion.objects.create(
        study=study,
        number=last.number + 1 if last else 1,
        document=document,
        sha256=sha256,
        reason=reason.strip(),
        meaning=dict(MEANINGS)[meaning],
        study_state=study.state,
        signed_by=actor,
        signed_name=str(actor.name).strip() if actor is not None else "The platform itself",
        signed_at=timezone.now(),
    )
    record(
        "reports.plan.signed" if last is None else "reports.plan.amended",
        actor,
        study_id=study.pk,
        subject=version,
        old={"version": last.number, "plan_sha256": last.sha256} if last else None,
        new={
            "version": version.number,
            "plan_sha256": sha256,
            "meaning": version.meaning,
            "state": study.state,
        },
        why=version.reason,
    )
    return version
