from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AuditConfig(AppConfig):
    name = "readerstudy.audit"
    verbose_name = "Audit trail"

    def ready(self) -> None:
        from .triggers import reinstall_after_migrate

        post_migrate.connect(
            reinstall_after_migrate, sender=self, dispatch_uid="audit.reinstall_triggers"
        )
