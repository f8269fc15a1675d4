from __future__ import annotations

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "readerstudy.accounts"
    verbose_name = "Accounts"

    def ready(self) -> None:
        from readerstudy.audit.append_only import AppendOnlyTable, register

        from . import sign_ins, signals  # noqa: F401 - connects the receivers

        register(AppendOnlyTable("accounts_signature", "what was signed stays signed"))
