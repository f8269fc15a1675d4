from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import AppConfig

if TYPE_CHECKING:
    from readerstudy.accounts.models import User
    from readerstudy.conduct.locking_models import Locking
    from readerstudy.studies.models import Study


class ReportsConfig(AppConfig):
    name = "readerstudy.reports"
    verbose_name = "Reports"

    def ready(self) -> None:
        from readerstudy.accounts import hooks as accounts
        from readerstudy.audit import anchors
        from readerstudy.conduct import hooks

        from .anchors import unblinding_anchors
        from .frozen_tables import register_tables

        register_tables()
        hooks.on_study_locked(_freeze)
        anchors.register(unblinding_anchors)
        accounts.on_programs_keys(accounts.Keys(_count_tokens, _revoke_tokens))


def _count_tokens(user: User) -> int:
    from .api.tokens import count_tokens

    return count_tokens(user)


def _revoke_tokens(user: User, actor: User | None, why: str) -> int:
    from .api.tokens import revoke_tokens_of

    return revoke_tokens_of(user, actor, why)


def _freeze(study: Study, locking: Locking, actor: User | None) -> None:
    """Statistics are loaded when a study is locked, not whenever a command is started."""
    from .snapshots import freeze_at_lock

    freeze_at_lock(study, locking, actor)
