"""Results, their files, the unblinding, and the import of tables from spreadsheets."""

from __future__ import annotations

import hashlib
from typing import cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from readerstudy.accounts.models import User
from readerstudy.conduct.imports import do_import_study_tables
from readerstudy.studies.access import get_study, has_role
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Role, Study
from readerstudy.studies.tables import TableError

from .access import View, get_results_study, view_for, why_refused
from .bundles.contents import bundle
from .exports import DESCRIPTIONS, csv_file, csv_names, file_name, reading_file
from .forms import ImportForm, UnblindForm
from .models import Unblinding
from .paper_tables import agreement_rows, ratio_table, score_table, test_rows
from .preference_tables import preference_tables
from .reading_files import reading_files
from .report import FIGURES, IMAGE_FORMATS, Report, masked_report, named_report
from .selectors import progress_of
from .services import do_unblind, record_download
from .wording import MASKED, plan_lines

_IMAGE_TYPES = {"svg": "image/svg+xml", "png": "image/png"}
# An SVG of matplotlib styles its paths in place; it holds no script and may load nothing.
_FIGURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
MOST_FAULTS_SHOWN = 500


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)  # the middleware lets no one else in


@require_safe
def results(request: HttpRequest, slug: str) -> HttpResponse:
    """Progress before the lock, letters until unblinding, names after it."""
    study = get_results_study(_user(request), slug)
    return _results_page(request, study, UnblindForm())


def _results_page(
    request: HttpRequest, study: Study, form: UnblindForm, status: int = 200
) -> HttpResponse:
    user = _user(request)
    view = view_for(user, study)
    context = {
        "study": study,
        "may_import": not study.is_locked and has_role(user, study, Role.COORDINATOR),
    }
    if view is View.REFUSED:
        context["reason"] = why_refused(user, study)
        return render(request, "reports/refused.html", context, status=403)
    if view is View.PROGRESS:
        context["progress"] = progress_of(study)
        return render(request, "reports/progress.html", context)
    try:
        report = masked_report(study) if view is View.MASKED else named_report(study)
    except StudyError as error:
        context["fault"] = str(error)
        return render(request, "reports/fault.html", context)
    context |= {
        "report": report,
        "masked": MASKED if report.is_masked else "",
        "form": form if report.is_masked else None,
        "ratios": ratio_table(report),
        "scores": score_table(report),
        "tests": test_rows(report),
        "agreement": agreement_rows(report),
        "figures": [name for name in FIGURES if report.has_figure(name)],
        "preferences": preference_tables(report),
        "files": [
            (name, DESCRIPTIONS[name]) for name in (*csv_names(report), *reading_files(study, user))
        ],
        "plan_lines": plan_lines(report.plan),
        "unblinding": Unblinding.objects.filter(study=study).select_related("by").first(),
    }
    return render(request, "reports/results.html", context, status=status)


@require_POST
def unblind(request: HttpRequest, slug: str) -> HttpResponse:
    study = get_results_study(_user(request), slug)
    form = UnblindForm(request.POST)
    if not form.is_valid():
        return _results_page(request, study, form, status=422)
    try:
        do_unblind(study, _user(request), form.cleaned_data["reason"])
    except StudyError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The key is open: arms are shown by name.")
    return redirect("results", slug)


def _report(request: HttpRequest, slug: str) -> tuple[Study, Report]:
    """The report in the form that this person gets, else 404."""
    user = _user(request)
    study = get_results_study(user, slug)
    view = view_for(user, study)
    if view not in {View.MASKED, View.NAMED}:
        raise Http404("There are no results for you yet.")
    try:
        return study, masked_report(study) if view is View.MASKED else named_report(study)
    except StudyError as error:
        raise Http404(str(error)) from None


@require_safe
def results_figure(request: HttpRequest, slug: str, name: str, image_format: str) -> HttpResponse:
    """A figure: in the page, or as a file with ?download."""
    study, report = _report(request, slug)
    if name not in FIGURES or image_format not in IMAGE_FORMATS or not report.has_figure(name):
        raise Http404("There is no such figure.")
    content = report.figure(name, image_format)
    if "download" in request.GET:
        full_name = f"{name}.{image_format}"
        return _download(request, study, report, full_name, content, _IMAGE_TYPES[image_format])
    response = HttpResponse(content, content_type=_IMAGE_TYPES[image_format])
    response.headers["Content-Security-Policy"] = _FIGURE_POLICY
    return response


@require_safe
def results_file(request: HttpRequest, slug: str, name: str) -> HttpResponse:
    study, report = _report(request, slug)
    if name in csv_names(report):
        content = csv_file(report, name)
    elif name in reading_files(study, _user(request)):
        content = reading_file(study, report, name)
    else:
        raise Http404("There is no such file.")
    return _download(request, study, report, name, content, "text/csv; charset=utf-8")


@require_safe
def results_bundle(request: HttpRequest, slug: str) -> HttpResponse:
    study, report = _report(request, slug)
    content = bundle(study, report, _user(request))
    return _download(request, study, report, "bundle.zip", content, "application/zip")


def _download(
    request: HttpRequest, study: Study, report: Report, name: str, content: bytes, kind: str
) -> HttpResponse:
    full_name = file_name(report, name)
    if request.method == "GET":
        sha256 = hashlib.sha256(content).hexdigest()
        record_download(study, _user(request), report, full_name, sha256)
    response = HttpResponse(content, content_type=kind)
    response.headers["Content-Disposition"] = f'attachment; filename="{full_name}"'
    response.headers["Content-Security-Policy"] = _FIGURE_POLICY
    return response


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
