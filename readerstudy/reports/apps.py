from __future__ import annotations

from django.apps import AppConfig


class ReportsConfig(AppConfig):
    name = "readerstudy.reports"
    verbose_name = "Reports"

    def ready(self) -> None:
        from readerstudy.audit import anchors
        from readerstudy.conduct import hooks

        from .anchors import unblinding_anchors
        from .frozen_tables import register_tables
        from .snapshots import freeze_at_lock

        register_tables()
        hooks.on_study_locked(freeze_at_lock)
        anchors.register(unblinding_anchors)
