from __future__ import annotations

from django.apps import AppConfig


class VariantsConfig(AppConfig):
    name = "readerstudy.variants"
    verbose_name = "Variants"

    def ready(self) -> None:
        from readerstudy.imaging import hooks, raw_data

        from . import services
        from .raw_intake import Intake

        raw_data.register(Intake())
        hooks.on_series_stored(services.request_after_storing)
        hooks.on_series_deleting(services.remove_derived)
