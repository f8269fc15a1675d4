from __future__ import annotations

from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "readerstudy.audit"
    verbose_name = "Audit trail"
