from __future__ import annotations

from django.apps import AppConfig


class MeasurementsConfig(AppConfig):
    name = "readerstudy.measurements"
    verbose_name = "Measurements"

    def ready(self) -> None:
        from readerstudy.imaging import hooks

        from . import services

        hooks.on_series_stored(services.measure_stored_series)
        hooks.on_series_deleting(services.discard_measurements_of)
