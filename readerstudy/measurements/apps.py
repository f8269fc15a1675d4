from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.apps import AppConfig

if TYPE_CHECKING:
    from readerstudy.accounts.models import User
    from readerstudy.imaging.models import Series, Volunteer
    from readerstudy.imaging.readings import Readings
    from readerstudy.studies.models import Study


class MeasurementsConfig(AppConfig):
    name = "readerstudy.measurements"
    verbose_name = "Measurements"

    def ready(self) -> None:
        from readerstudy.imaging import hooks

        hooks.on_series_coming(_want)
        hooks.on_series_stored(_measure)
        hooks.on_series_deleting(_discard)


# Loaded when a series comes or goes, not whenever a command is started: statistics come along.


def _want(
    volunteer: Volunteer, control: Series, series: Sequence[Series], readings: Readings
) -> None:
    from .services import want_measured_late

    want_measured_late(volunteer, control, series, readings)


def _measure(
    study: Study, series: Sequence[Series], actor: User | None, readings: Readings
) -> None:
    from .services import measure_stored_series

    measure_stored_series(study, series, actor, readings)


def _discard(series: Series, actor: User | None, prefixes: list[str]) -> None:
    from .services import discard_measurements_of

    discard_measurements_of(series, actor, prefixes)
