"""The lock of a study: its page, and the administrator's way out of it."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from readerstudy.accounts.models import User
from readerstudy.measurements.selectors import unmeasured
from readerstudy.studies.access import get_study
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import PlanVersion, Role, Study

from . import locking
from .locking_forms import LockForm, UnlockForm


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)  # the middleware lets no one else in


@require_http_methods(["GET", "HEAD", "POST"])
def lock(request: HttpRequest, slug: str) -> HttpResponse:
    study = get_study(request.user, slug, Role.COORDINATOR)
    form = LockForm(request.POST if request.method == "POST" else None, label_suffix="")
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                locking.do_lock(study, _user(request), form.cleaned_data["reason"])
            except StudyError as error:
                form.add_error(None, list(error.messages))
                study.refresh_from_db()
            else:
                messages.success(
                    request, "The study is locked, and its scores and regions are frozen."
                )
                return redirect("lock", study.slug)
    return render(request, "conduct/lock.html", _context(study, form, request), status=status)


def _context(study: Study, form: LockForm, request: HttpRequest) -> dict[str, object]:
    return {
        "study": study,
        "form": form,
        "open_sessions": locking.open_sessions(study),
        "locks": locking.locks_of(study),
        "unmeasured": unmeasured(study),
        "plan": PlanVersion.objects.filter(study=study).order_by("-number").first(),
        "may_unlock": _user(request).is_administrator and study.state == Study.State.LOCKED,
    }


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def unlock(request: HttpRequest, slug: str) -> HttpResponse:
    """For administrators alone; the page does not exist for others."""
    study = get_study(request.user, slug, Role.COORDINATOR)
    if not _user(request).is_administrator:
        raise Http404("No such page.")
    form = UnlockForm(request.POST if request.method == "POST" else None, label_suffix="")
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_signed(request):
            try:
                locking.do_unlock(study, _user(request), form.cleaned_data["reason"])
            except StudyError as error:
                form.add_error(None, list(error.messages))
                study.refresh_from_db()
            else:
                messages.success(request, "The lock is open: readers and measurers can go on.")
                return redirect("lock", study.slug)
    context = {"study": study, "form": form, "locks": locking.locks_of(study)}
    return render(request, "conduct/unlock.html", context, status=status)
