from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings
from django.utils.module_loading import autodiscover_modules


class JobsConfig(AppConfig):
    name = "readerstudy.jobs"
    verbose_name = "Jobs"

    def ready(self) -> None:
        # Every app's tasks.py registers its tasks: web processes know the queue of each.
        autodiscover_modules("tasks")
        if settings.TASKS == "celery":
            from . import broker  # noqa: F401 - now, and not during the first page that needs it
