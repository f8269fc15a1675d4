"""The export page: bundles with their progress, single files, tokens of the API."""

from __future__ import annotations

import hashlib
import uuid
from typing import cast

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from readerstudy.accounts.models import User
from readerstudy.accounts.sign_ins import origin_of
from readerstudy.jobs.models import Job
from readerstudy.jobs.selectors import why_waiting
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Study

from .access import View, get_results_study, view_for
from .api.tokens import do_create_token, do_revoke_token, standing_tokens
from .bundles.single import content_type, single_file, single_names
from .export_services import KIND, do_request_export, exports_for, open_export, report_for
from .exports import file_name
from .forms import TokenForm
from .plan_versions import asked_version
from .results_views import navigation
from .services import record_download


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)


def _page(
    request: HttpRequest,
    study: Study,
    *,
    made: str = "",
    token_form: TokenForm | None = None,
    status: int = 200,
) -> HttpResponse:
    user = _user(request)
    view = view_for(user, study)
    context: dict[str, object] = {
        "study": study,
        "made": made,
        "token_form": token_form or TokenForm(),
    }
    if view in {View.MASKED, View.NAMED}:
        exports = exports_for(user, study)
        context["exports"] = exports
        making = [e.job for e in exports if not e.is_ready and e.job and not e.job.is_over]
        context["is_moving"] = bool(making)
        # No other job by name: labels say volunteers and arms, and the arms may be masked here.
        context["waiting"] = why_waiting(making[0], names_work=False) if making else ""
        try:
            report = report_for(user, study, asked_version(request))
            context |= {"report": report, "part": "export", "parts": navigation(study, report)}
            context["files"] = single_names(study, report, user)
        except StudyError as error:
            context["fault"] = str(error)
        context["other_jobs"] = (
            Job.objects.filter(study_id=study.pk, state__in=[Job.State.QUEUED, Job.State.RUNNING])
            .exclude(kind=KIND)
            .count()
        )
    context["view"] = view.value
    context["tokens"] = standing_tokens(user, study)
    return render(request, "reports/exports.html", context, status=status)


@require_safe
def exports_page(request: HttpRequest, slug: str) -> HttpResponse:
    return _page(request, get_results_study(_user(request), slug))


@require_POST
def export_new(request: HttpRequest, slug: str) -> HttpResponse:
    study = get_results_study(_user(request), slug)
    try:
        do_request_export(study, _user(request), asked_version(request))
    except StudyError as error:
        messages.error(request, str(error))
    asked = asked_version(request)
    address = reverse("results_exports", args=[slug])
    return redirect(f"{address}?plan={asked}" if asked is not None else address)


@require_safe
def export_download(request: HttpRequest, slug: str, export: uuid.UUID) -> FileResponse:
    study = get_results_study(_user(request), slug)
    found = next((e for e in exports_for(_user(request), study) if e.pk == export), None)
    if found is None or not found.is_ready:
        raise Http404("There is no such bundle.")
    try:
        file = open_export(_user(request), found)
    except FileNotFoundError:
        raise Http404("The bundle is gone: make it again.") from None
    return FileResponse(file, as_attachment=True, filename=found.name)


@require_safe
def export_file(request: HttpRequest, slug: str, name: str) -> HttpResponse:
    """One file as it stands in the bundle."""
    user = _user(request)
    study = get_results_study(user, slug)
    try:
        report = report_for(user, study, asked_version(request))
    except (StudyError, PermissionDenied) as error:
        raise Http404(str(error)) from None
    content = single_file(study, report, user, name)
    if content is None:
        raise Http404("There is no such file.")
    full_name = file_name(report, name.replace("/", "_"))
    if request.method == "GET":
        record_download(study, user, report, full_name, hashlib.sha256(content).hexdigest())
    response = HttpResponse(content, content_type=content_type(name))
    response.headers["Content-Disposition"] = f'attachment; filename="{full_name}"'
    response.headers["Content-Security-Policy"] = "default-src 'none'"
    return response


@sensitive_post_parameters("password")
@require_POST
def token_new(request: HttpRequest, slug: str) -> HttpResponse:
    """With the password: a browser that was left open for an hour must not open a year."""
    study = get_results_study(_user(request), slug)
    form = TokenForm(request.POST)
    if not form.is_signed(request):
        return _page(request, study, token_form=form, status=422)
    chosen = form.cleaned_data
    try:
        _, text = do_create_token(
            study, _user(request), chosen["name"], chosen["days"], origin=origin_of(request)
        )
    except StudyError as error:
        form.add_error(None, list(error.messages))
        return _page(request, study, token_form=form, status=422)
    # Not through a redirect: the text stands on this page alone, and in no session.
    return _page(request, study, made=text)


@require_POST
def token_revoke(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    study = get_results_study(_user(request), slug)
    token = do_revoke_token(study, _user(request), number)
    messages.success(request, f"The token “{token.name}” is revoked.")
    return redirect("results_exports", slug)
