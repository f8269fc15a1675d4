from __future__ import annotations

from django.apps import AppConfig


class ReadingConfig(AppConfig):
    name = "readerstudy.reading"
    verbose_name = "Reading"

    def ready(self) -> None:
        from readerstudy.audit import visibility

        from .append_only import register_tables
        from .audit_visibility import hidden_events

        visibility.register(hidden_events)
        register_tables()
