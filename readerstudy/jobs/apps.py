from __future__ import annotations

from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "readerstudy.jobs"
    verbose_name = "Jobs"
