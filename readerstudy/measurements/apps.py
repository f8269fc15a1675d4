from __future__ import annotations

from django.apps import AppConfig


class MeasurementsConfig(AppConfig):
    name = "readerstudy.measurements"
    verbose_name = "Measurements"
