"""How a job is doing, for the progress bars of pages."""

from __future__ import annotations

import uuid

from django.http import Http404, HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from . import access
from .models import Job


@require_safe
def status(request: HttpRequest, job_id: uuid.UUID) -> JsonResponse:
    job = Job.objects.filter(pk=job_id).first()
    # 404 in both cases: whether a job exists is nobody else's business.
    if job is None or not access.may_see(request.user, job):
        raise Http404("No such job.")
    return JsonResponse(
        {
            "state": job.state,
            "done": job.progress_done,
            "total": job.progress_total,
            "message": job.message,
            "error": job.error if job.state == Job.State.FAILED else "",
        }
    )
