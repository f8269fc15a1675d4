"""Who may watch a job: jobs know no studies, so the rule lives here and is registered with them."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

from readerstudy.accounts.models import User
from readerstudy.jobs.models import Job

from .access import has_role
from .models import Role, Study


def may_see_job(user: AbstractBaseUser | AnonymousUser, job: Job) -> bool:
    """Coordinators and statisticians of the job's study. Readers never: labels name arms.

    A job of no study is shown to whoever started it and to administrators.
    """
    if not isinstance(user, User) or not user.is_active:
        return False
    if job.study_id is None:
        return user.is_administrator or job.created_by_id == user.pk
    study = Study.objects.filter(pk=job.study_id).first()
    return study is not None and has_role(user, study, Role.COORDINATOR, Role.STATISTICIAN)
