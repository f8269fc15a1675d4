"""The statistician's acts after the lock: opening the key, leaving somebody out."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from readerstudy.accounts.models import User
from readerstudy.conduct.locking import standing_lock
from readerstudy.studies.access import has_role
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Role, Study
from readerstudy.studies.protocol import sha256_of

from .access import View, get_results_study, view_for, why_refused
from .act_forms import ExclusionForm, TakeBackForm, UnblindForm
from .exclusions import (
    codes_in,
    do_exclude,
    do_take_back,
    every_exclusion,
    exclusions_of,
    with_and_without,
    without,
)
from .export_services import report_for
from .models import Exclusion, Unblinding
from .plan_wording import moment_of
from .plans import last_version, signed_plan
from .results_views import page_context
from .selectors import masked_data
from .services import do_unblind
from .snapshots import standing_snapshot
from .steps import steps_of
from .wording import alpha_text


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)  # the middleware lets no one else in


def _acting(request: HttpRequest, slug: str) -> Study:
    """For whoever may see results before unblinding, and act on them; the others are told why."""
    user = _user(request)
    study = get_results_study(user, slug)
    if not study.is_unblinded and view_for(user, study) is View.REFUSED:
        raise PermissionDenied(why_refused(user, study))
    if not has_role(user, study, Role.STATISTICIAN):
        raise PermissionDenied("This is the statistician's to do.")
    return study


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def unblind(request: HttpRequest, slug: str) -> HttpResponse:
    """What the key opens over and under, and the act itself."""
    study = _acting(request, slug)
    version = last_version(study)
    shown = version.sha256 if version else ""
    form = UnblindForm(
        request.POST if request.method == "POST" else None,
        label_suffix="",
        initial={"plan_sha256": shown},
    )
    status = 200
    if request.method == "POST":
        if study.is_unblinded:
            messages.info(request, "The key is open already: nothing was done a second time.")
            return redirect("results_unblind", slug)
        status = 422
        if form.is_signed(request):
            said = form.cleaned_data
            try:
                do_unblind(
                    study, _user(request), said["reason"], shown_plan_sha256=said["plan_sha256"]
                )
            except StudyError as error:
                form.add_error(None, list(error.messages))
                # Read and confirmed once more, the plan that stands now counts.
                form.data = {**request.POST.dict(), "plan_sha256": shown}
                study.refresh_from_db()
            else:
                messages.success(request, "The key is open: arms are shown by name.")
                return redirect("results", slug)
    return render(
        request, "conduct/unblind.html", _unblinding(study, form, _user(request)), status=status
    )


def _unblinding(study: Study, form: UnblindForm, user: User) -> dict[str, Any]:
    version, snapshot = last_version(study), standing_snapshot(study)
    opened = Unblinding.objects.filter(study=study).select_related("by", "plan_version").first()
    faults: tuple[str, ...] = ()
    if version is not None:
        try:
            signed_plan(study, version)
        except StudyError as error:
            faults = error.messages
    return {
        "study": study,
        "form": form,
        "steps": steps_of(study, user, at_the_key=True),
        "version": version,
        "moment": moment_of(version) if version else "",
        "plan_faults": faults,
        "lock": standing_lock(study),
        "snapshot": snapshot,
        # The hash of the named data would open the key.
        "masked_sha256": sha256_of(masked_data(snapshot.data)) if snapshot else "",
        "opened": opened,
        "may_open": bool(version and study.is_locked and not study.is_unblinded and not faults),
    }


@require_http_methods(["GET", "HEAD", "POST"])
def exclusions(request: HttpRequest, slug: str) -> HttpResponse:
    """Who is left out and why, and every planned test with and without."""
    study = _acting(request, slug)
    if not study.is_locked:
        raise Http404("There is nothing to exclude from before the lock.")
    form = ExclusionForm(codes_in(study), request.POST if request.method == "POST" else None)
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            kind, code = form.chosen()
            try:
                do_exclude(study, _user(request), kind, code, form.cleaned_data["reason"])
            except StudyError as error:
                form.add_error(None, list(error.messages))
            else:
                messages.success(
                    request, f"The {kind} {code} is left out of the sensitivity analysis below."
                )
                return redirect("results_exclusions", slug)
    return render(
        request, "conduct/exclusions.html", _excluded(request, study, form), status=status
    )


def _excluded(request: HttpRequest, study: Study, form: ExclusionForm) -> dict[str, Any]:
    context: dict[str, Any] = {"study": study}
    standing = exclusions_of(study)
    try:
        report = report_for(_user(request), study)
        context |= page_context(study, report, "sensitivity")
        if standing:
            less = without(report, standing)
            rows = with_and_without(report, less)
            context |= {
                "less": less,
                "rows": rows,
                "alpha": alpha_text(report.plan.alpha),
                "changed": sum(row.decision_changes for row in rows),
            }
    except StudyError as error:
        context["fault"] = str(error)
    return context | {
        "form": form,
        "exclusions": every_exclusion(study),
        "take_back": TakeBackForm(label_suffix=""),
    }


@require_POST
def take_back(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    study = _acting(request, slug)
    exclusion = Exclusion.objects.filter(study=study, pk=number, takes_back=None).first()
    if exclusion is None:
        raise Http404("There is no such exclusion.")
    form = TakeBackForm(request.POST)
    if not form.is_valid():
        messages.error(request, " ".join(map(str, form.errors["reason"])))
    else:
        try:
            do_take_back(exclusion, _user(request), form.cleaned_data["reason"])
        except StudyError as error:
            messages.error(request, str(error))
        else:
            messages.success(request, f"{exclusion.code} counts again.")
    return redirect("results_exclusions", slug)
