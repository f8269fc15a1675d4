"""What every test gets: storage folders of its own and a lockout that starts afresh."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache


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
