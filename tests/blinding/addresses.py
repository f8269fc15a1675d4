"""Every address of the site, sorted by what a reader finds there.

A new address has to be entered here, or `test_every_address.py` fails: in `FOR_READERS` if a reader
has business there, in `CLOSED` (404, 403, or a method that is not allowed) if not.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

FOR_READERS = {
    "home",
    # Open to load balancers, and so to everybody: plain words, nothing of a study.
    "health",
    "ready",
    # Signing in, one's own account and second factor.
    "account",
    "account_invitation",
    "account_login",
    "account_logout",
    "account_inactive",
    "account_reauthenticate",
    "account_change_password",
    "account_set_password",
    "account_reset_password",
    "account_reset_password_from_key_done",
    "account_reset_password_from_key",
    "account_reset_password_done",
    "account_sign_in_end",
    "account_sign_ins_end",
    "openid_connect_login",
    "openid_connect_callback",
    "socialaccount_login_cancelled",
    "socialaccount_login_error",
    "mfa_index",
    "mfa_authenticate",
    "mfa_list_webauthn",
    "mfa_add_webauthn",
    "mfa_edit_webauthn",
    "mfa_remove_webauthn",
    "mfa_reauthenticate_webauthn",
    "mfa_login_webauthn",
    "mfa_reauthenticate",
    "mfa_activate_totp",
    "mfa_deactivate_totp",
    "mfa_view_recovery_codes",
    "mfa_generate_recovery_codes",
    "mfa_download_recovery_codes",
    # The reading room.
    "reading_home",
    "reading_session",
    "reading_sign",
    "reading_item",
    "reading_item_data",
    "reading_open",
    "reading_scores",
    "reading_comment",
    "reading_marks",
    "reading_visit",
    "reading_submit",
    "reading_pixels",
    "reading_flags",
    "reading_display",
    "reading_pause",
    "reading_signin",
    "reading_faults",
}

CLOSED = {
    "metrics",
    "operations",
    "study_new",
    "study",
    "study_design",
    "study_design_file",
    "study_amendments",
    "study_members",
    "study_member_remove",
    "study_site_remove",
    "study_site_rename",
    "uploads",
    "upload_status",
    "upload_places",
    "uploads_rules",
    "uploads_inbox",
    "uploads_inbox_series",
    "uploads_inbox_sheet",
    "uploads_inbox_clear",
    "uploads_inbox_discard",
    "uploads_deidentification",
    "upload_finish",
    "upload_tus",
    "upload_tus_file",
    "series_delete",
    "job_status",
    "readiness",
    "readiness_panel",
    "readiness_derive",
    "readiness_accept",
    "readiness_people",
    "readiness_parameters",
    "readiness_parameters_file",
    "readiness_mail",
    "readiness_thumbnail",
    "readiness_decide",
    "readiness_pixels",
    "readiness_flags",
    "readiness_compare",
    "readiness_compare_data",
    "readiness_withdraw",
    "readiness_volunteer_remove",
    "variants",
    "variant_arm_remove",
    "variant_raw_remove",
    "variant_evidence",
    "variant_image",
    "variant_warning",
    "launch",
    "lock",
    "unlock",
    "plan",
    "plan_read",
    "plan_sign",
    "plan_version",
    "plan_file",
    "regions",
    "regions_volunteer",
    "regions_data",
    "regions_save",
    "regions_pixels",
    "regions_observers",
    "regions_files",
    "regions_rules",
    "regions_suggest",
    "regions_reports",
    "regions_act",
    "results",
    "results_unblind",
    "results_exclusions",
    "results_exclusion_take_back",
    "results_figure",
    "results_file",
    "results_bundle",
    "results_part",
    "results_panels",
    "results_panels_file",
    "results_images",
    "results_images_data",
    "results_pixels",
    "results_import",
    "results_import_mapped",
    "results_exports",
    "results_export_new",
    "results_export_download",
    "results_export_file",
    "results_token_new",
    "results_token_revoke",
    "api_schema",
    "api_study",
    "api_results",
    "api_bundle",
    "api_file",
    "api_unknown",
}

# The administration site answers a reader with its sign-in page, whatever stands behind it.
CLOSED_NAMESPACES = {"admin"}


@dataclass(frozen=True)
class Address:
    name: str
    namespace: str
    route: str
    parameters: tuple[str, ...]


def every_address() -> Iterator[Address]:
    yield from _walk(get_resolver(), "", "", ())


def _walk(
    resolver: URLResolver, prefix: str, namespace: str, above: tuple[str, ...]
) -> Iterator[Address]:
    for pattern in resolver.url_patterns:
        route = prefix + str(pattern.pattern)
        parameters = (*above, *pattern.pattern.regex.groupindex)
        if isinstance(pattern, URLPattern):
            yield Address(pattern.name or "", namespace, route, parameters)
        else:
            yield from _walk(pattern, route, pattern.namespace or namespace, parameters)


def filled(address: Address, values: dict[str, list[Any]]) -> list[str]:
    """The address with every combination of its arguments."""
    missing = [name for name in address.parameters if name not in values]
    assert not missing, f"Say what {missing} of {address.route} may be, where this was called."
    return [
        _path(address, dict(zip(address.parameters, chosen, strict=True)))
        for chosen in itertools.product(*(values[name] for name in address.parameters))
    ]


def _path(address: Address, chosen: dict[str, Any]) -> str:
    route = re.sub(  # a regular expression's first: its name stands in brackets of its own
        r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)", lambda m: str(chosen[m[1]]), address.route
    )
    route = re.sub(r"<(?:\w+:)?(\w+)>", lambda m: str(chosen[m[1]]), route)
    return "/" + route.replace("^", "").replace("$", "").replace(r"\Z", "").replace(r"\.", ".")
