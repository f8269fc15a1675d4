"""Volunteers, readers and the acquisition table: what the paper says of its material."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from readerstudy.accounts.models import User
from readerstudy.imaging.inbox_selectors import waiting_of, waiting_of_nobody
from readerstudy.imaging.models import Series, Volunteer
from readerstudy.studies.access import get_reach, get_study
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Role, Study
from readerstudy.studies.selectors import arms_of, sites_of

from . import acquisition, people, withdrawals
from .desk_forms import ExperienceForm, ParametersForm, ParticipantsForm, WithdrawForm


def _sent(request: HttpRequest, what: str) -> Any:
    """The data of the form of that name, or None: a page may hold several."""
    return request.POST if request.method == "POST" and request.POST.get("form") == what else None


@require_http_methods(["GET", "HEAD", "POST"])
def volunteers_and_readers(request: HttpRequest, slug: str) -> HttpResponse:
    reach = get_reach(request.user, slug)
    study = reach.study
    user = cast(User, request.user)
    sees_all = reach.site is None
    volunteers = people.volunteer_lines(study, reach)
    sites = sites_of(study) if sees_all and study.is_draft else []
    participants = ParticipantsForm(volunteers, _sent(request, "volunteers"), sites)
    readers = people.reader_lines(study) if sees_all else []
    experience = ExperienceForm(readers, _sent(request, "readers"))
    if (
        participants.is_bound
        and participants.is_valid()
        and _stored(
            request,
            participants,
            lambda: people.do_describe_volunteers(study, user, participants.entries()),
        )
    ):
        return redirect("readiness_people", study.slug)
    if (
        sees_all
        and experience.is_bound
        and experience.is_valid()
        and _stored(
            request, experience, lambda: people.do_set_experience(study, user, experience.years())
        )
    ):
        return redirect("readiness_people", study.slug)
    volunteers = people.volunteer_lines(study, reach)
    return render(
        request,
        "conduct/people.html",
        {
            "study": study,
            "participants": participants,
            "experience": experience,
            "site": reach.site,
            "has_sites": study.sites.exists(),
            "summary": people.summary(volunteers, readers),
            "withdrawals": people.withdrawal_lines(reach, volunteers),
        },
    )


def _stored(request: HttpRequest, form: Any, store: Any) -> bool:
    try:
        changed = store()
    except StudyError as error:
        form.add_error(None, list(error.messages))
        return False
    messages.success(
        request,
        f"{changed} entr{'y' if changed == 1 else 'ies'} changed."
        if changed
        else "Nothing was changed.",
    )
    return True


@require_POST
def remove_volunteer(request: HttpRequest, slug: str, volunteer_code: str) -> HttpResponse:
    """Take away a code that was never a volunteer's: a typing error, a folder's name."""
    reach = get_reach(request.user, slug)
    volunteer = get_object_or_404(
        Volunteer, study=reach.study, code=volunteer_code, **reach.within()
    )
    try:
        people.do_remove_volunteer(volunteer, cast(User, request.user))
    except StudyError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"The code {volunteer_code} was removed.")
    return redirect("readiness_people", slug)


@require_http_methods(["GET", "HEAD", "POST"])
def withdraw(request: HttpRequest, slug: str, volunteer_code: str) -> HttpResponse:
    reach = get_reach(request.user, slug)
    study = reach.study
    volunteer = get_object_or_404(Volunteer, study=study, code=volunteer_code, **reach.within())
    form = WithdrawForm(request.POST if request.method == "POST" else None, label_suffix="")
    if request.method == "POST" and form.is_valid():
        try:
            done = withdrawals.do_withdraw(
                volunteer, cast(User, request.user), form.cleaned_data["reason"]
            )
        except StudyError as error:
            form.add_error(None, list(error.messages))
        else:
            if done.erased_at is not None:
                messages.success(request, f"{volunteer_code}: all images are erased.")
            else:
                messages.warning(
                    request,
                    f"{volunteer_code} has withdrawn, but some files could not be deleted yet. "
                    "The workers try again every few minutes.",
                )
            return redirect("readiness_people", study.slug)
    waiting, seeming = waiting_of(volunteer, reach)
    context = {
        "study": study,
        "volunteer": volunteer,
        "form": form,
        "waiting": waiting,
        "seeming": [row for row in seeming if reach.site is None],
        "site": reach.site,
        "unknown": len(waiting_of_nobody(reach)),
    }
    return render(request, "conduct/withdraw.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def parameters(request: HttpRequest, slug: str) -> HttpResponse:
    """Acquisition parameters of all arms side by side, and what is entered by hand."""
    study = get_study(request.user, slug, Role.COORDINATOR)
    form = _parameters_form(study, _sent(request, "parameters"))
    if form.is_bound and form.is_valid():
        user = cast(User, request.user)
        if _stored(
            request, form, lambda: acquisition.do_enter_parameters(study, user, form.values())
        ):
            return redirect("readiness_parameters", study.slug)
    context = {
        "study": study,
        "table": acquisition.acquisition_table(study),
        "form": form,
        "has_images": Series.objects.filter(volunteer__study=study).exists(),
    }
    return render(request, "conduct/parameters.html", context)


def _parameters_form(study: Study, data: Any) -> ParametersForm:
    return ParametersForm(arms_of(study), acquisition.entered_values(study), data)


@require_safe
def parameters_file(request: HttpRequest, slug: str) -> HttpResponse:
    study = get_study(request.user, slug, Role.COORDINATOR)
    text = acquisition.table_as_csv(acquisition.acquisition_table(study))
    return HttpResponse(
        text,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{study.slug}-acquisition.csv"'},
    )
