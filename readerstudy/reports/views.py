"""The import of tables from spreadsheets."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from readerstudy.accounts.models import User
from readerstudy.conduct.imports import do_import_study_tables
from readerstudy.studies.access import get_study
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Role, Study
from readerstudy.studies.tables import TableError

from .forms import ImportForm

MOST_FAULTS_SHOWN = 500


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)  # the middleware lets no one else in


@require_http_methods(["GET", "HEAD", "POST"])
def results_import(request: HttpRequest, slug: str) -> HttpResponse:
    """Scores and regions from CSV files; every fault is shown, and then nothing is written."""
    study = get_study(_user(request), slug, Role.COORDINATOR)
    form = ImportForm(request.POST, request.FILES) if request.method == "POST" else ImportForm()
    context: dict[str, object] = {"study": study, "form": form}
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                report = do_import_study_tables(
                    study,
                    _user(request),
                    scores=form.table("scores"),
                    regions=form.table("regions"),
                )
            except TableError as error:
                context["faults"] = error.faults[:MOST_FAULTS_SHOWN]
                context["fault_count"] = len(error.faults)
            except StudyError as error:
                form.add_error(None, list(error.messages))
            else:
                messages.success(
                    request,
                    f"Imported: {report.scores} scores and {report.measurements} region "
                    f"measurements of {report.volunteers} volunteers.",
                )
                for note in report.notes:
                    messages.info(request, note)
                return redirect("results_import", slug)
    context |= {
        "study": Study.objects.get(pk=study.pk),
        "arms": study.arms.all(),
        "criteria": study.criteria.all(),
        "tissues": study.tissues.all(),
    }
    return render(request, "reports/import.html", context, status=status)
