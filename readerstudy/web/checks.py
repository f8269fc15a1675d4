"""What `manage.py check --deploy` asks of a site beyond Django's own checks."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning


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
