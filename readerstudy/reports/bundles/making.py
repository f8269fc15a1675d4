"""A file of the bundle by its name, and what makes it when it is asked for."""

from __future__ import annotations

from collections.abc import Callable

Makers = dict[str, Callable[[], bytes]]
