from __future__ import annotations

from django.apps import AppConfig


class StudiesConfig(AppConfig):
    name = "readerstudy.studies"
    verbose_name = "Studies"

    def ready(self) -> None:
        from readerstudy.jobs import access

        from .job_access import may_see_job

        access.register(may_see_job)
