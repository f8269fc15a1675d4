from __future__ import annotations

import uuid

from .models import Study


def hold_study(study_id: uuid.UUID) -> None:
    """Lock the study's row until the transaction ends. See `jobs.locks`."""
    list(Study.objects.select_for_update().filter(pk=study_id).values_list("pk"))
