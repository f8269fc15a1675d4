from __future__ import annotations

from django.apps import AppConfig


class StudiesConfig(AppConfig):
    name = "readerstudy.studies"
    verbose_name = "Studies"

    def ready(self) -> None:
        from readerstudy.accounts import second_factor
        from readerstudy.jobs import access, locks

        from .access import kinds_of
        from .job_access import may_see_job
        from .job_locks import hold_study

        second_factor.register(kinds_of)
        access.register(may_see_job)
        locks.register(hold_study)
