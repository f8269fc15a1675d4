"""What programs read. A token in the Authorization header opens one study, as its page would."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import (
    FileResponse,
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
)
from django.views.decorators.csrf import csrf_exempt

from readerstudy.reports.bundles.single import content_type, single_file, single_names
from readerstudy.reports.export_models import ApiToken
from readerstudy.reports.export_services import exports_for, open_export, report_for
from readerstudy.reports.exports import file_name
from readerstudy.reports.plan_versions import asked_version
from readerstudy.reports.report import Report
from readerstudy.reports.services import record_download
from readerstudy.studies.errors import StudyError

from .openapi import openapi_document
from .tokens import token_of

WITHOUT = (
    "This needs a valid token, sent as Authorization: Bearer rs_… It is missing, mistyped, expired "
    "or revoked: make one under Results, Export."
)

View = Callable[..., HttpResponseBase]


def _error(status: int, text: str) -> JsonResponse:
    response = JsonResponse({"error": text}, status=status)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if status == 405:
        response.headers["Allow"] = "GET, HEAD"
    return response


def _reads_only(view: View) -> View:
    """For programs: every answer is JSON, that to a method which would write too.

    Exempt from the check of forms, whose answer is a page: nothing here writes, and a session opens
    nothing.
    """

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **named: Any) -> HttpResponseBase:
        if request.method not in ("GET", "HEAD"):
            return _error(405, "The API reads only: GET or HEAD.")
        return view(request, *args, **named)

    answer.answers_json = True  # type: ignore[attr-defined]
    return login_not_required(csrf_exempt(answer))


def _by_token(view: Callable[[HttpRequest, ApiToken, Report, str], HttpResponseBase]) -> View:
    """Only with a standing token of this study, and only in the form its person gets."""

    @wraps(view)
    def answer(request: HttpRequest, slug: str, name: str = "") -> HttpResponseBase:
        token = token_of(request.headers.get("Authorization", ""))
        if token is None:
            if request.user.is_authenticated:
                return _error(403, "The API takes a token, no session. Make one under Results.")
            return _error(401, WITHOUT)
        if token.study.slug != slug:
            return _error(404, "The token is for another study.")
        try:
            report = report_for(token.user, token.study, asked_version(request))
        except PermissionDenied as error:
            return _error(403, str(error))
        except StudyError as error:
            return _error(409, str(error))
        except Http404 as error:
            return _error(404, str(error))
        return view(request, token, report, name)

    return _reads_only(answer)


def _without_token(request: HttpRequest) -> HttpResponse | None:
    """The refusal, where no standing token comes along."""
    if token_of(request.headers.get("Authorization", "")) is not None:
        return None
    if request.user.is_authenticated:
        return _error(403, "The API takes a token, no session. Make one under Results.")
    return _error(401, WITHOUT)


def _schema(request: HttpRequest) -> HttpResponse:
    """The schema names no study; it is open to whoever holds any standing token."""
    refusal = _without_token(request)
    return refusal or JsonResponse(openapi_document(f"{settings.SITE_URL.rstrip('/')}/api/v1"))


def _unknown(request: HttpRequest, name: str = "") -> HttpResponse:
    """Whatever else is asked for below /api/: an answer that a program can read."""
    return _without_token(request) or _error(
        404, "There is no such address (mind the slash at its end): see openapi.json."
    )


api_schema = _reads_only(_schema)
api_unknown = _reads_only(_unknown)


def _study(request: HttpRequest, token: ApiToken, report: Report, _name: str) -> HttpResponse:
    document: dict[str, Any] = {
        "study": report.slug,
        "title": report.title,
        "notice": report.notice,
        "state": token.study.state,
        "arms": "letters" if report.is_masked else "names",
        "plan_version": report.plan_version,
        "plan_signed_at": report.signing.signed_at.isoformat() if report.signing else None,
        "plan_signed": report.signing.moment if report.signing else "not signed",
        "post_hoc": report.post_hoc,
        "amended_after_lock": report.amended,
        "plan_sha256": report.plan_sha256,
        "data_sha256": report.data_sha256,
        "files": [
            {"name": name, "description": text}
            for _part, files in single_names(token.study, report, token.user)
            for name, text in files
        ],
    }
    return JsonResponse(document)


def _results(request: HttpRequest, token: ApiToken, report: Report, _name: str) -> HttpResponse:
    return _one(request, token, report, "results.json")


def _file(request: HttpRequest, token: ApiToken, report: Report, name: str) -> HttpResponse:
    return _one(request, token, report, name)


def _one(request: HttpRequest, token: ApiToken, report: Report, name: str) -> HttpResponse:
    content = single_file(token.study, report, token.user, name)
    if content is None:
        return _error(404, "There is no such file: see the list of the study.")
    full_name = file_name(report, name.replace("/", "_"))
    if request.method == "GET":
        sha256 = hashlib.sha256(content).hexdigest()
        record_download(token.study, token.user, report, full_name, sha256)
    response = HttpResponse(content, content_type=content_type(name))
    response.headers["Content-Disposition"] = f'attachment; filename="{full_name}"'
    response.headers["Content-Security-Policy"] = "default-src 'none'"
    return response


def _bundle(request: HttpRequest, token: ApiToken, report: Report, _name: str) -> HttpResponseBase:
    for export in exports_for(token.user, token.study):
        of_these = (export.data_sha256, export.plan_sha256) == (
            report.data_sha256,
            report.plan_sha256,
        )
        if export.is_ready and of_these:
            return FileResponse(
                open_export(token.user, export), as_attachment=True, filename=export.name
            )
    return _error(404, "No bundle was made of these results: make one under Results, Export.")


api_study = _by_token(_study)
api_results = _by_token(_results)
api_file = _by_token(_file)
api_bundle = _by_token(_bundle)
