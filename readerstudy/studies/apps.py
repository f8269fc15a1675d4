from __future__ import annotations

from django.apps import AppConfig


class StudiesConfig(AppConfig):
    name = "readerstudy.studies"
    verbose_name = "Studies"

    def ready(self) -> None:
        from readerstudy.accounts import second_factor
        from readerstudy.jobs import access, locks

        from .access import kinds_of
        from .holding import hold_alone
        from .job_access import may_see_job

        second_factor.register(kinds_of)
        access.register(may_see_job)
        locks.register(hold_alone)
