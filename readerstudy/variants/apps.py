from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.apps import AppConfig

if TYPE_CHECKING:
    from readerstudy.accounts.models import User
    from readerstudy.imaging.models import Series
    from readerstudy.imaging.raw_data import RawIntake
    from readerstudy.imaging.readings import Readings
    from readerstudy.studies.models import Study


class VariantsConfig(AppConfig):
    name = "readerstudy.variants"
    verbose_name = "Variants"

    def ready(self) -> None:
        from readerstudy.imaging import hooks

        hooks.on_raw_data(_intake)
        hooks.on_series_stored(_request)
        hooks.on_series_deleting(_remove)


# Loaded when files, or a series, come or go, not whenever a command is started: readers of raw data
# come along.


def _intake() -> RawIntake:
    from .raw_intake import Intake

    return Intake()


def _request(
    study: Study, series: Sequence[Series], actor: User | None, _readings: Readings
) -> None:
    from .services import request_after_storing

    request_after_storing(study, series, actor)


def _remove(series: Series, actor: User | None, prefixes: list[str]) -> None:
    from .services import remove_derived

    remove_derived(series, actor, prefixes)
