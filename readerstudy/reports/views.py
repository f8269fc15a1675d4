"""The import of tables from spreadsheets."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from readerstudy.accounts.models import User
from readerstudy.conduct.imports import (
    ImportReport,
    check_import_study_tables,
    do_import_study_tables,
)
from readerstudy.studies.access import get_study
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Role, Study
from readerstudy.studies.tables import Fault, TableError, TableFile

from .forms import ImportForm
from .imports import waiting
from .imports.preview import preview_of, understood_headings

MOST_FAULTS_SHOWN = 500
_KINDS = ("scores", "regions")


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)  # the middleware lets no one else in


@require_http_methods(["GET", "HEAD", "POST"])
def results_import(request: HttpRequest, slug: str) -> HttpResponse:
    """Scores and regions from CSV files: checked and shown first, written by a second press.

    Every fault is shown, and then nothing is written.
    """
    user = _user(request)
    study = get_study(user, slug, Role.COORDINATOR)
    is_second = "import" in request.POST
    form = ImportForm()
    if request.method == "POST" and not is_second:
        form = ImportForm(request.POST, request.FILES)
    context: dict[str, object] = {"study": study, "form": form}
    status = 200
    if request.method == "POST":
        status = 422
        try:
            if is_second:
                files = _waiting(request, study, user)
                report = do_import_study_tables(
                    study, user, scores=files["scores"], regions=files["regions"]
                )
                _told(request, report)
                return redirect("results_import", slug)
            if form.is_valid():
                files = {kind: form.table(kind) for kind in _KINDS}
                checked = check_import_study_tables(
                    study, user, scores=files["scores"], regions=files["regions"]
                )
                context["would_write"] = preview_of(study, checked)
                context["carried"] = [
                    (f"kept-{kind}", waiting.keep(file, study, user))
                    for kind, file in files.items()
                    if file is not None
                ]
                status = 200
        except TableError as error:
            context["faults"] = error.faults[:MOST_FAULTS_SHOWN]
            context["fault_count"] = len(error.faults)
        except StudyError as error:
            context["errors"] = error.messages
    context |= {
        "study": Study.objects.get(pk=study.pk),
        "arms": study.arms.all(),
        "criteria": study.criteria.all(),
        "tissues": study.tissues.all(),
        "understood": understood_headings(),
    }
    return render(request, "reports/import.html", context, status=status)


def _waiting(request: HttpRequest, study: Study, user: User) -> dict[str, TableFile | None]:
    """The files that were checked and shown. Raises `TableError` where one waits no more."""
    files: dict[str, TableFile | None] = {}
    for kind in _KINDS:
        kept = request.POST.get(f"kept-{kind}", "")
        files[kind] = waiting.find(kept, study, user) if kept else None
        if kept and files[kind] is None:
            raise TableError(
                [Fault(kind, None, "", "Choose the file again: it waits here for a day only.")]
            )
    return files


def _told(request: HttpRequest, report: ImportReport) -> None:
    for kind in _KINDS:
        if kept := request.POST.get(f"kept-{kind}", ""):
            waiting.forget(kept)
    messages.success(
        request,
        f"Imported: {report.scores} scores and {report.measurements} region measurements of "
        f"{report.volunteers} volunteers.",
    )
    for note in report.notes:
        messages.info(request, note)
