"""The doors of the site. allauth's sign-up and e-mail pages are left out: accounts are invited."""

from __future__ import annotations

from allauth.account import views as sign_in
from allauth.socialaccount.providers.openid_connect import views as openid_connect
from django.urls import include, path, re_path

from . import single_sign_on_views as single_sign_on
from . import views

urlpatterns = [
    path("", views.account, name="account"),
    path("invitation/<str:token>/", views.invitation, name="account_invitation"),
    path("login/", sign_in.login, name="account_login"),
    path("logout/", sign_in.logout, name="account_logout"),
    path("inactive/", sign_in.account_inactive, name="account_inactive"),
    path("reauthenticate/", sign_in.reauthenticate, name="account_reauthenticate"),
    path("password/change/", sign_in.password_change, name="account_change_password"),
    path("password/set/", sign_in.password_set, name="account_set_password"),
    path("password/reset/", sign_in.password_reset, name="account_reset_password"),
    path("password/reset/done/", sign_in.password_reset_done, name="account_reset_password_done"),
    re_path(
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        sign_in.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path(
        "password/reset/key/done/",
        sign_in.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    path("2fa/", include("allauth.mfa.urls")),
    path("signed-in/end/", views.sign_ins_end, name="account_sign_ins_end"),
    path("signed-in/<int:number>/end/", views.sign_in_end, name="account_sign_in_end"),
    # Single sign-on: nothing there unless OIDC_SERVER is set.
    path("oidc/<slug:provider_id>/login/", single_sign_on.enter, name="openid_connect_login"),
    path(
        "oidc/<slug:provider_id>/login/callback/",
        openid_connect.callback,
        name="openid_connect_callback",
    ),
    path("oidc/cancelled/", single_sign_on.cancelled, name="socialaccount_login_cancelled"),
    path("oidc/error/", single_sign_on.error, name="socialaccount_login_error"),
]
