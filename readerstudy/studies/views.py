"""The study's own pages: its protocol, its settings, its members."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from readerstudy.accounts.models import User

from . import selectors, services, wording
from .access import get_study, has_role
from .errors import StudyError
from .forms import InviteForm
from .models import Membership, Role


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)  # the middleware lets no one else in


def _posted(request: HttpRequest) -> QueryDict | None:
    """What was sent, even if it is empty; None when the page is only looked at."""
    return request.POST if request.method == "POST" else None


@require_safe
def study(request: HttpRequest, slug: str) -> HttpResponse:
    """The protocol as it stands or as it was frozen."""
    found = get_study(request.user, slug, Role.COORDINATOR, Role.STATISTICIAN)
    return render(
        request,
        "studies/overview.html",
        {
            "study": found,
            "arms": [(arm, wording.recipe_in_words(arm)) for arm in selectors.arms_of(found)],
            "criteria": found.criteria.all(),
            "comparisons": found.comparisons.select_related("first", "second"),
            "tissues": found.tissues.all(),
            "plan": wording.plan_lines(found.plan),
            "readers": selectors.reader_memberships(found),
            "may_edit": found.is_draft and has_role(request.user, found, Role.COORDINATOR),
        },
    )


@require_http_methods(["GET", "HEAD", "POST"])
def study_members(request: HttpRequest, slug: str) -> HttpResponse:
    """Who takes part. An invitation's link is shown in the answer to its POST, and only there."""
    found = get_study(request.user, slug, Role.COORDINATOR)
    form = InviteForm(_posted(request), label_suffix="")
    invited: tuple[Membership, str | None] | None = None
    if request.method == "POST" and form.is_valid():
        try:
            invited = services.do_invite_member(
                found,
                _user(request),
                form.cleaned_data["email"],
                form.cleaned_data["name"],
                form.cleaned_data["role"],
            )
        except StudyError as error:
            form.add_error(None, list(error.messages))
        else:
            form = InviteForm(label_suffix="")
    return render(
        request,
        "studies/members.html",
        {
            "study": found,
            "members": selectors.members_of(found),
            "form": form,
            "invited": invited[0] if invited else None,
            "invitation_link": invited[1] if invited else None,
        },
    )


@require_POST
def study_member_remove(request: HttpRequest, slug: str, membership_id: int) -> HttpResponse:
    found = get_study(request.user, slug, Role.COORDINATOR)
    membership = get_object_or_404(Membership, pk=membership_id, study=found)
    try:
        services.do_remove_member(membership, _user(request))
    except StudyError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{membership.user} is no longer {membership.role} here.")
        if membership.user_id == _user(request).pk:
            return redirect("home")
    return redirect("study_members", found.slug)
