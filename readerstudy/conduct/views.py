"""The first page, and the coordinator's desk: readiness, launch, progress."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from readerstudy.accounts.models import User
from readerstudy.measurements.selectors import reads_blinded
from readerstudy.studies.access import Reach, get_reach, get_study
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Role, Study
from readerstudy.studies.services import may_create_studies
from readerstudy.variants.access import may_see_evidence

from . import selectors, services
from .checks import launch_checks
from .dashboard import dashboard, open_sessions, workers_seen
from .forms import LaunchForm, MailForm
from .mail import do_mail_readers
from .readiness import find_cell, readiness_grid


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)  # the middleware lets no one else in


def _posted(request: HttpRequest) -> QueryDict | None:
    """What was sent, even if it is empty; None when the page is only looked at."""
    return request.POST if request.method == "POST" else None


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    user = _user(request)
    return render(
        request,
        "conduct/home.html",
        {
            "reading": selectors.reading_cards(user),
            "studies": selectors.study_cards(user),
            "may_create": may_create_studies(user),
        },
    )


@require_safe
def readiness(request: HttpRequest, slug: str) -> HttpResponse:
    """The grid and the checks of a draft; after the launch, the readers' progress.

    A site coordinator sees the grid of the site's volunteers, before the launch and after.
    """
    reach = get_reach(request.user, slug)
    return render(request, "conduct/readiness.html", _desk(reach, _user(request)))


@require_safe
def readiness_panel(request: HttpRequest, slug: str) -> HttpResponse:
    """The part of the page that is fetched again while something runs."""
    reach = get_reach(request.user, slug)
    return render(request, "conduct/panel.html", _desk(reach, _user(request)))


def _desk(reach: Reach, user: User) -> dict[str, Any]:
    study = reach.study
    grid = readiness_grid(study, reach)
    shows_evidence = may_see_evidence(user, study)
    context: dict[str, Any] = {
        "study": study,
        "site": reach.site,
        "grid": grid,
        "shows_evidence": shows_evidence,
        "shows_images": reach.site is None and not reads_blinded(user, study),
    }
    if reach.site is not None:
        return context
    if study.is_draft:
        checks = launch_checks(study, grid, shows_evidence=shows_evidence)
        context |= {
            "checks": checks,
            "may_launch": not any(check.is_fault for check in checks),
            "is_being_measured": grid.n_unmeasured > 0 and bool(workers_seen()),
        }
    else:
        context["dashboard"] = dashboard(study)
    return context


@require_POST
def readiness_derive(
    request: HttpRequest, slug: str, volunteer_code: str, arm_code: str
) -> HttpResponse:
    """Have the worker make one derived series (again)."""
    study = get_study(request.user, slug, Role.COORDINATOR)
    cell = find_cell(study, volunteer_code, arm_code)
    if cell is None:
        raise Http404("No such volunteer or arm.")
    try:
        services.do_derive(study, cell, _user(request))
    except StudyError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{volunteer_code}, {cell.arm.name}: the worker will make it.")
    return redirect("readiness", study.slug)


@require_http_methods(["GET", "HEAD", "POST"])
def launch(request: HttpRequest, slug: str) -> HttpResponse:
    study = get_study(request.user, slug, Role.COORDINATOR)
    form = LaunchForm(_posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            services.do_launch(study, _user(request))
        except StudyError as error:
            form.add_error(None, list(error.messages))
        else:
            messages.success(request, "The study is launched: its readers can begin.")
            return redirect("readiness", study.slug)
    return render(
        request, "conduct/launch.html", {**_desk(Reach(study), _user(request)), "form": form}
    )


@require_http_methods(["GET", "HEAD", "POST"])
def mail_readers(request: HttpRequest, slug: str) -> HttpResponse:
    """Write to readers; each gets the link to their own session."""
    study = get_study(request.user, slug, Role.COORDINATOR)
    waiting = open_sessions(study) if study.state == Study.State.READING else []
    form = MailForm(waiting, study.title, _posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            report = do_mail_readers(
                study,
                _user(request),
                [int(key) for key in form.cleaned_data["sessions"]],
                form.cleaned_data["subject"],
                form.cleaned_data["text"],
            )
        except StudyError as error:
            form.add_error(None, list(error.messages))
        else:
            if report.sent:
                messages.success(request, f"Sent to {', '.join(report.sent)}.")
            for fault in report.failed:
                messages.error(request, f"Not sent: {fault}.")
            return redirect("readiness", study.slug)
    return render(request, "conduct/mail.html", {"study": study, "form": form, "waiting": waiting})
