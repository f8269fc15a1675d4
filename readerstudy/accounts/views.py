"""A person's own account, and the door for invited people. Signing in itself is allauth's."""

from __future__ import annotations

from typing import cast

from allauth.account.utils import perform_login
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from .errors import AccountError
from .forms import AcceptInvitationForm, NameForm
from .hooks import count_keys
from .models import User
from .second_factor import has_own_factor
from .selectors import valid_invitation
from .services import do_accept_invitation, do_change_name
from .sign_ins import do_end_sign_in, do_end_sign_ins, sign_ins_of


@require_http_methods(["GET", "HEAD", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    """Name, password, second factor, and where one is signed in."""
    user = cast(User, request.user)
    form = NameForm(request.POST or None, initial={"name": user.name})
    if request.method == "POST" and form.is_valid():
        do_change_name(user, form.cleaned_data["name"])
        messages.success(request, "Your name is saved.")
        return redirect("account")
    return render(
        request,
        "accounts/account.html",
        {
            "form": form,
            "second_factor": has_own_factor(user),
            "sign_ins": sign_ins_of(user),
            "this_one": request.session.session_key,
            "tokens": count_keys(user),
        },
    )


@require_POST
def sign_in_end(request: HttpRequest, number: int) -> HttpResponse:
    """Sign one other browser out."""
    try:
        ended = do_end_sign_in(cast(User, request.user), number)
    except AccountError as error:
        messages.info(request, str(error))
        return redirect("account")
    if ended.session_key == request.session.session_key:
        logout(request)
        return redirect("account_login")
    messages.success(request, f"{ended.browser or 'The browser'} is signed out.")
    return redirect("account")


@require_POST
def sign_ins_end(request: HttpRequest) -> HttpResponse:
    """Sign every other browser out."""
    key = str(request.session.session_key)
    ended = do_end_sign_ins(cast(User, request.user), cast(User, request.user), but=key)
    number, tokens = ended.browsers, ended.tokens
    told = (
        f"You are signed out in {number} other browser{'s' * (number != 1)}."
        if number
        else "You are signed in nowhere else."
    )
    if tokens:
        told += f" {tokens} API token{' is' if tokens == 1 else 's are'} revoked."
    messages.success(request, told)
    return redirect("account")


@never_cache
@login_not_required
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Where an invitation's link leads: set a name and a password, and be signed in."""
    if request.user.is_authenticated:
        return render(request, "accounts/invitation_signed_in.html")
    found = valid_invitation(token)
    if found is None:
        # Used, too old, replaced or never sent: nobody learns which.
        return render(request, "accounts/invitation_over.html", status=404)
    form = AcceptInvitationForm(
        request.POST or None, user=found.user, initial={"name": found.user.name}
    )
    if request.method == "POST" and form.is_valid():
        try:
            user = do_accept_invitation(
                token, form.cleaned_data["name"], form.cleaned_data["password"]
            )
        except AccountError:
            return render(request, "accounts/invitation_over.html", status=404)
        return cast(HttpResponse, perform_login(request, user, email_verification="none"))
    return render(request, "accounts/invitation.html", {"form": form, "invitation": found})
