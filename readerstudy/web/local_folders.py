"""The folders of this host that fill up."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings


def local_folders(images: str) -> list[tuple[str, Path]]:
    """Each under its name; that of the images is `images`, unless an object store has them."""
    uploads = ("uploads", settings.UPLOAD_ROOT)
    return [uploads] if settings.S3_BUCKET else [(images, settings.MEDIA_ROOT), uploads]
