from __future__ import annotations

from django.apps import AppConfig


class ConductConfig(AppConfig):
    name = "readerstudy.conduct"
    verbose_name = "Conduct"

    def ready(self) -> None:
        from .frozen_tables import register_tables

        register_tables()
