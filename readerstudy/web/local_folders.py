"""The folders of this host that fill up."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from django.conf import settings


def local_folders(images: str) -> list[tuple[str, Path]]:
    """Each under its name; that of the images is `images`, unless an object store has them.

    The folder of uploads is made by the first one. That a new site has none yet is no fault: where
    it is left to its default it is made here. One that was named may be a share, whose absence is.
    """
    if not settings.IS_UPLOAD_DIR_CONFIGURED:
        with suppress(OSError):  # then it is told as missing
            settings.UPLOAD_ROOT.mkdir(parents=True, exist_ok=True)
    uploads = ("uploads", settings.UPLOAD_ROOT)
    return [uploads] if settings.S3_BUCKET else [(images, settings.MEDIA_ROOT), uploads]
