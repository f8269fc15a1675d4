"""What the ethics file needs: what was removed, kept and replaced, as a file to keep."""

from __future__ import annotations

import csv
import io
import json

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from readerstudy.studies.access import get_study
from readerstudy.studies.models import Role

from .deidentification_report import Summary, summary_of

KINDS = {"csv": "text/csv; charset=utf-8", "json": "application/json"}


@require_safe
def deidentification_report(request: HttpRequest, slug: str) -> HttpResponse:
    """The report as a page to print; `?format=csv` or `json` as a file."""
    study = get_study(request.user, slug, Role.COORDINATOR)
    summary = summary_of(study)
    kind = request.GET.get("format", "")
    if not kind:
        return render(
            request,
            "imaging/deidentification.html",
            {"study": study, "summary": summary, "made_at": timezone.now()},
        )
    if kind not in KINDS:
        raise Http404("No such format.")
    content = _csv(summary) if kind == "csv" else _json(summary)
    response = HttpResponse(content, content_type=KINDS[kind])
    response["Content-Disposition"] = f'attachment; filename="{study.slug}-deidentification.{kind}"'
    return response


def _csv(summary: Summary) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(["table version", "rule", "attribute", "count"])
    for row in summary.rows:
        writer.writerow([row["version"], row["rule"], row["attribute"], row["count"]])
    return buffer.getvalue()


def _json(summary: Summary) -> str:
    return json.dumps(
        {
            "study": summary.title,
            "made_at": timezone.now().isoformat(timespec="seconds"),
            "methods": summary.methods,
            "series": summary.series,
            "images": summary.images,
            "dates": summary.dates,
            "burned_in_text": summary.text_decisions,
            "rows": summary.rows,
        },
        indent=2,
        ensure_ascii=False,
    )
