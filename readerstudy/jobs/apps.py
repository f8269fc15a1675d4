from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings


class JobsConfig(AppConfig):
    name = "readerstudy.jobs"
    verbose_name = "Jobs"

    def ready(self) -> None:
        if settings.TASKS == "celery":
            from . import broker  # noqa: F401 - now, and not during the first page that needs it
