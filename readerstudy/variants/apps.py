from __future__ import annotations

from django.apps import AppConfig


class VariantsConfig(AppConfig):
    name = "readerstudy.variants"
    verbose_name = "Variants"

    def ready(self) -> None:
        from readerstudy.imaging import hooks

        from . import services

        hooks.on_series_stored(services.request_after_storing)
        hooks.on_series_deleting(services.remove_derived)
