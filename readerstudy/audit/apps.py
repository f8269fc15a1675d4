from __future__ import annotations

from django.apps import AppConfig
from django.core import checks
from django.db.models.signals import post_migrate, pre_migrate


class AuditConfig(AppConfig):
    name = "readerstudy.audit"
    verbose_name = "Audit trail"

    def ready(self) -> None:
        from .isolation import check_settings
        from .triggers import reinstall_after_migrate, remove_before_migrate

        checks.register(check_settings)
        pre_migrate.connect(
            remove_before_migrate, sender=self, dispatch_uid="audit.remove_triggers"
        )
        post_migrate.connect(
            reinstall_after_migrate, sender=self, dispatch_uid="audit.reinstall_triggers"
        )
