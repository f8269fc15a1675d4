"""What every test gets: storage folders of its own and a lockout that starts afresh."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.db import DEFAULT_DB_ALIAS, connections

from readerstudy.audit import triggers
from tests import postgresql
from tests.chromium import chromium, front_end  # noqa: F401 - fixtures of every browser test
from tests.dciodvfy import dciodvfy  # noqa: F401 - fixture of whoever writes DICOM
from tests.storage_apart import storage_apart  # noqa: F401 - fixture of whoever stores images

# The longest are begun first, so that two workers end together.
FIRST = (
    *("test_accessibility.py", "test_on_postgresql.py", "test_backup.py"),
    "test_the_whole_way.py",
)
# Fixtures that start a database, an object store, web processes or workers.
PROGRAMS = {"postgresql_address", "server", "site", "reader", "ports"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first. What drives other programs is tried once more before it counts as failed.

    A busy machine may take seconds over what is expected at once; the summary names each test that
    needed its second try ("RERUN") and shows its first failure, and a fault of the product fails
    twice.
    """
    items.sort(key=lambda item: item.path.name not in FIRST)
    for item in items:
        if item.get_closest_marker("browser") or PROGRAMS & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(autouse=True)
def own_storage(tmp_path: Path, settings: Any) -> Iterator[Path]:
    """MEDIA_ROOT and UPLOAD_ROOT in the test's own folder, through STORAGES too."""
    media, uploads = tmp_path / "storage", tmp_path / "uploads"
    media.mkdir()
    uploads.mkdir()
    settings.MEDIA_ROOT = media
    settings.UPLOAD_ROOT = uploads
    storages = {name: dict(storage) for name, storage in settings.STORAGES.items()}
    storages["default"]["OPTIONS"] = {"location": media, "base_url": None}
    storages["uploads"]["OPTIONS"] = {"location": uploads, "base_url": None}
    settings.STORAGES = storages
    cache.clear()
    yield tmp_path
    cache.clear()


@pytest.fixture(scope="session", autouse=True)
def emptying_may_delete_events() -> Iterator[None]:
    """A transactional test empties all tables at its end; the audit triggers would refuse.

    They are dropped by the emptying itself and put back by the post_migrate that follows it. Set
    on the class: where a browser is driven, a test may find itself with another connection.
    """
    operations = type(connections[DEFAULT_DB_ALIAS].ops)
    plain = operations.sql_flush

    def sql_flush(self: Any, *args: Any, **options: Any) -> list[str]:
        return [*triggers.drop_statements(), *plain(self, *args, **options)]

    operations.sql_flush = sql_flush  # type: ignore[method-assign]
    yield
    operations.sql_flush = plain  # type: ignore[method-assign]


@pytest.fixture(scope="session")
def postgresql_address() -> Iterator[str]:
    """A private PostgreSQL server, without a database name."""
    with postgresql.server() as address:
        yield address
