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
from .forms import InviteForm, SiteForm
from .models import Membership, Role, Site
from .sites import do_add_site, do_remove_site, do_rename_site


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
            "imported_readers": selectors.imported_readers(found),
            "may_edit": found.is_draft and has_role(request.user, found, Role.COORDINATOR),
        },
    )


@require_http_methods(["GET", "HEAD", "POST"])
def study_members(request: HttpRequest, slug: str) -> HttpResponse:
    """Who takes part. An invitation's link is shown in the answer to its POST, and only there."""
    found = get_study(request.user, slug, Role.COORDINATOR)
    sites = selectors.sites_of(found)
    invites = request.method == "POST" and request.POST.get("form") != "site"
    form = InviteForm(_posted(request) if invites else None, sites=sites, label_suffix="")
    invited: tuple[Membership, str | None] | None = None
    if invites and form.is_valid():
        try:
            invited = services.do_invite_member(
                found,
                _user(request),
                form.cleaned_data["email"],
                form.cleaned_data["name"],
                form.cleaned_data["role"],
                form.site,
            )
        except StudyError as error:
            form.add_error(None, list(error.messages))
        else:
            form = InviteForm(sites=sites, label_suffix="")
    site_form = SiteForm(_posted(request) if not invites else None, label_suffix="", prefix="site")
    if request.method == "POST" and not invites and site_form.is_valid():
        try:
            made = do_add_site(found, _user(request), **site_form.cleaned_data)
        except StudyError as error:
            site_form.add_error(None, list(error.messages))
        else:
            messages.success(request, f"{made.name} takes part as {made.code}.")
            return redirect("study_members", found.slug)
    return render(
        request,
        "studies/members.html",
        {
            "study": found,
            "members": selectors.members_of(found),
            "form": form,
            "sites": sites,
            "site_form": site_form,
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


@require_POST
def study_site_remove(request: HttpRequest, slug: str, site_id: int) -> HttpResponse:
    found = get_study(request.user, slug, Role.COORDINATOR)
    site = get_object_or_404(Site, pk=site_id, study=found)
    try:
        do_remove_site(site, _user(request))
    except StudyError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{site.name} no longer takes part.")
    return redirect("study_members", found.slug)


@require_POST
def study_site_rename(request: HttpRequest, slug: str, site_id: int) -> HttpResponse:
    found = get_study(request.user, slug, Role.COORDINATOR)
    site = get_object_or_404(Site, pk=site_id, study=found)
    try:
        do_rename_site(site, _user(request), request.POST.get("name", ""))
    except StudyError as error:
        messages.error(request, str(error))
    return redirect("study_members", found.slug)
