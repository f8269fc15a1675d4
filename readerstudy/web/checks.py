"""What `manage.py check --deploy` asks of a site beyond Django's own checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning

from readerstudy.site_folder import is_open_to_others


def check_keys(**_: Any) -> list[CheckMessage]:
    """Where several hosts can serve a site, its key must not be one that each makes for itself."""
    is_shared = settings.TASKS == "celery" or any(
        str(database["ENGINE"]).endswith("postgresql") for database in settings.DATABASES.values()
    )
    if settings.IS_SECRET_KEY_CONFIGURED or not is_shared:
        return []
    own_uids = settings.DEIDENTIFICATION_KEY != settings.SECRET_KEY
    return [
        Warning(
            f"SECRET_KEY is not set: this host uses one of its own, {settings.VAR_DIR}/secret_key. "
            "Another host makes another, and neither knows the sign-ins of the other"
            + ("." if own_uids else " or gives images the same pseudonymous UIDs."),
            hint="Set SECRET_KEY (and DEIDENTIFICATION_KEY) to the same on every host. If this one "
            "is in use already, take what the file holds.",
            id="web.W001",
        )
    ]


def check_folders(**_: Any) -> list[CheckMessage]:
    """The folders that the platform does not close by itself, as others may have to get in."""
    site = settings.VAR_DIR
    folders = {"READERSTUDY_VAR": site, "UPLOAD_DIR": settings.UPLOAD_ROOT}
    if not settings.S3_BUCKET:
        folders["STORAGE_DIR"] = settings.MEDIA_ROOT
    database = settings.DATABASES["default"]
    if str(database["ENGINE"]).endswith("sqlite3"):
        folders["DATABASE_URL"] = Path(str(database["NAME"])).parent
    return [
        Warning(
            f"{folder} can be opened by every user of this host: passwords' hashes, keys or images "
            f"lie there ({name}).",
            hint=f"chmod o-rwx {folder} (what its group may do stays).",
            id="web.W002",
        )
        for name, folder in folders.items()
        if is_open_to_others(folder)
        and (name == "READERSTUDY_VAR" or not folder.is_relative_to(site))
    ]


def check_mail(**_: Any) -> list[CheckMessage]:
    """Mails hold links that let a person in: not for a log that others read."""
    if settings.EMAIL_BACKEND != "django.core.mail.backends.console.EmailBackend":
        return []
    return [
        Warning(
            "EMAIL_URL names no mail server: invitations and links for a new password are written "
            "to the console, where whoever reads the log can use them, and reach nobody.",
            hint="Set EMAIL_URL to the hospital's mail server.",
            id="web.W003",
        )
    ]
