"""Looking after people. Accounts are made by invitation and switched off, never deleted."""

from __future__ import annotations

from typing import Any, cast

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest

from . import services
from .errors import AccountError
from .models import User
from .sign_ins import do_end_sign_ins

# Secrets of second factors, and rows that allauth keeps for itself, are nobody's to edit.
for model in (Group, EmailAddress, Authenticator, SocialAccount, SocialApp, SocialToken):
    if admin.site.is_registered(model):
        admin.site.unregister(model)


class InviteForm(forms.ModelForm):
    class Meta:
        model = User
        fields = ["email", "name"]

    def clean_email(self) -> str:
        email = str(self.cleaned_data["email"]).strip().lower()
        try:
            services.check_invite_user(email)
        except AccountError as error:
            raise forms.ValidationError(str(error)) from None
        return email

    def validate_unique(self) -> None:
        """A person who was invited before is invited again; check_invite_user has judged."""


@admin.register(User)
class UserAdmin(admin.ModelAdmin):
    list_display = ["email", "name", "is_active", "is_staff", "is_superuser", "last_login"]
    list_filter = ["is_active", "is_superuser"]
    search_fields = ["email", "name"]
    ordering = ["email"]
    actions = ["invite_again", "lift_lockout", "remove_second_factor", "sign_out_everywhere"]
    readonly_fields = ["last_login", "created_at"]

    def get_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        return ["email", "name"] if obj is None else [*services.ADMINISTERED, *self.readonly_fields]

    def get_form(
        self, request: HttpRequest, obj: User | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        if obj is None:
            kwargs["form"] = InviteForm
        return super().get_form(request, obj, change, **kwargs)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        actor = cast(User, request.user)
        if change:
            services.do_administer_user(actor, obj)
            return
        user, link = services.do_invite_user(actor, obj.email, obj.name)
        obj.pk = user.pk
        self._show_link(request, user, link)

    def _show_link(self, request: HttpRequest, user: User, link: str) -> None:
        self.message_user(
            request,
            f"Send this link to {user.email} and to nobody else; it is shown once: {link}",
            messages.WARNING,
        )

    @admin.action(description="Invite again (a new link)")
    def invite_again(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in queryset:
            try:
                _, link = services.do_invite_user(cast(User, request.user), user.email)
            except AccountError as error:
                self.message_user(request, str(error), messages.ERROR)
            else:
                self._show_link(request, user, link)

    @admin.action(description="Lift the lockout")
    def lift_lockout(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in queryset:
            lifted = services.do_lift_lockout(cast(User, request.user), user)
            state = "may try again" if lifted else "was not locked out"
            self.message_user(request, f"{user.email} {state}.")

    @admin.action(description="Remove the second factor (lost telephone)")
    def remove_second_factor(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in queryset:
            removed = services.do_remove_second_factor(cast(User, request.user), user)
            state = "signs in by password alone" if removed else "had no second factor"
            self.message_user(request, f"{user.email} {state}.")

    @admin.action(description="Sign out everywhere, revoke API tokens")
    def sign_out_everywhere(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in queryset:
            ended = do_end_sign_ins(cast(User, request.user), user)
            self.message_user(
                request,
                f"{user.email}: {ended.browsers} browsers signed out, "
                f"{ended.tokens} API tokens revoked.",
            )

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False
