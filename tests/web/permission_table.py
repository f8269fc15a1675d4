"""What each address answers to whom: the table that test_permissions.py holds the site against.

Of each study, first what is asked for with GET, then what an empty form sent with POST is answered.
Columns, of the study that is being read: somebody signed out; a reader, a coordinator, a
statistician and a coordinator of one site of the study; an administrator; a reader, a coordinator
and a statistician of another study. Of the two others: the same without whoever is signed out and
without the reader and the statistician of another study. To the administration site somebody signed
out, a coordinator and an administrator send.

404 where existence is a secret, 403 where the person knows the study and may not (not yet, or not
in that role), 401 where a page's own script or a program asks, 405 where the method is not taken,
302 also to the sign-in page and, of one's own second factors, to the password; 400 and 422 where
the person may and the form is empty.
"""

from __future__ import annotations

from .permission_scene import OPEN, PREPARED, READ
from .permission_table_states import ANSWERS_OPEN, ANSWERS_PREPARED, Rows

ANSWERS_READ: dict[str, Rows] = {
    "GET": {
        (200, 200, 200, 200, 200, 200, 200, 200, 200): (
            *("health", "ready", "account_invitation", "account_inactive"),
            *("account_reset_password", "account_reset_password_done"),
            *("account_reset_password_from_key", "account_reset_password_from_key_done"),
            *("socialaccount_login_error", "reading_signin"),
        ),
        (200, 302, 302, 302, 302, 302, 302, 302, 302): ("account_login",),
        (302, 200, 200, 200, 200, 200, 200, 200, 200): (
            *("account", "account_logout", "account_reauthenticate"),
            *("account_change_password", "mfa_index", "mfa_reauthenticate"),
            *("mfa_list_webauthn", "home", "reading_home"),
        ),
        (302, 200, 302, 302, 302, 302, 302, 302, 302): ("mfa_reauthenticate_webauthn",),
        (302, 200, 404, 404, 404, 404, 404, 404, 404): ("reading_item",),
        (302, 302, 302, 302, 302, 200, 302, 302, 302): (
            *("admin:index", "admin:password_change_done", "admin:jsi18n"),
            *("admin:audit_event_changelist", "admin:audit_event_history"),
            *("admin:audit_event_change", "admin:accounts_user_changelist"),
            *("admin:accounts_user_add", "admin:accounts_user_history"),
            *("admin:accounts_user_change", "admin:reading_randomisation_changelist"),
            *("admin:reading_randomisation_history", "admin:reading_randomisation_change"),
            *("admin:reading_session_changelist", "admin:reading_session_history"),
            *("admin:reading_session_change", "admin:reading_item_changelist"),
            *("admin:reading_item_history", "admin:reading_item_change"),
            "admin:reading_scorerevision_changelist",
            *("admin:reading_scorerevision_history", "admin:reading_scorerevision_change"),
            *("admin:reading_pane_changelist", "admin:reading_pane_history"),
            *("admin:reading_pane_change", "admin:reading_commentrevision_changelist"),
            *("admin:reading_marksrevision_changelist", "admin:reading_visit_changelist"),
            *("admin:reading_displaycheck_changelist", "admin:reading_pause_changelist"),
            *("admin:reading_receipt_changelist", "admin:measurements_region_changelist"),
            *("admin:measurements_measurement_changelist", "admin:app_list"),
            *("admin:reports_apitoken_changelist", "admin:reports_apitoken_history"),
            "admin:reports_apitoken_change",
        ),
        (302, 302, 302, 302, 302, 302, 302, 302, 302): (
            *("admin:password_change", "admin:admin/audit/event/<path:object_id>/"),
            "admin:admin/accounts/user/<path:object_id>/",
            "admin:admin/reading/randomisation/<path:object_id>/",
            "admin:admin/reading/session/<path:object_id>/",
            "admin:admin/reports/apitoken/<path:object_id>/",
            "admin:admin/reading/item/<path:object_id>/",
            "admin:admin/reading/scorerevision/<path:object_id>/",
            "admin:admin/reading/pane/<path:object_id>/",
            "admin:reading_commentrevision_history",
            "admin:reading_commentrevision_change",
            "admin:admin/reading/commentrevision/<path:object_id>/",
            *("admin:reading_marksrevision_history", "admin:reading_marksrevision_change"),
            "admin:admin/reading/marksrevision/<path:object_id>/",
            *("admin:reading_visit_history", "admin:reading_visit_change"),
            "admin:admin/reading/visit/<path:object_id>/",
            *("admin:reading_displaycheck_history", "admin:reading_displaycheck_change"),
            "admin:admin/reading/displaycheck/<path:object_id>/",
            *("admin:reading_pause_history", "admin:reading_pause_change"),
            *("admin:admin/reading/pause/<path:object_id>/", "admin:reading_receipt_history"),
            "admin:reading_receipt_change",
            "admin:admin/reading/receipt/<path:object_id>/",
            *("admin:measurements_region_history", "admin:measurements_region_change"),
            "admin:admin/measurements/region/<path:object_id>/",
            "admin:measurements_measurement_history",
            "admin:measurements_measurement_change",
            "admin:admin/measurements/measurement/<path:object_id>/",
            *("account_set_password", "mfa_authenticate", "mfa_activate_totp"),
            *("mfa_deactivate_totp", "mfa_view_recovery_codes"),
            *("mfa_generate_recovery_codes", "mfa_download_recovery_codes"),
            *("mfa_add_webauthn", "mfa_remove_webauthn", "mfa_edit_webauthn"),
            *("mfa_login_webauthn", "socialaccount_login_cancelled"),
        ),
        (302, 302, 302, 302, 302, 403, 302, 302, 302): (
            *("admin:autocomplete", "admin:audit_event_add", "admin:audit_event_delete"),
            *("admin:accounts_user_delete", "admin:reading_randomisation_add"),
            *("admin:reading_randomisation_delete", "admin:reading_session_add"),
            *("admin:reading_session_delete", "admin:reading_item_add"),
            *("admin:reading_item_delete", "admin:reading_scorerevision_add"),
            *("admin:reading_scorerevision_delete", "admin:reading_pane_add"),
            *("admin:reading_pane_delete", "admin:reading_commentrevision_add"),
            *("admin:reading_commentrevision_delete", "admin:reading_marksrevision_add"),
            *("admin:reading_marksrevision_delete", "admin:reading_visit_add"),
            *("admin:reading_visit_delete", "admin:reading_displaycheck_add"),
            *("admin:reading_displaycheck_delete", "admin:reading_pause_add"),
            *("admin:reading_pause_delete", "admin:reading_receipt_add"),
            *("admin:reading_receipt_delete", "admin:measurements_region_add"),
            *("admin:measurements_region_delete", "admin:measurements_measurement_add"),
            "admin:measurements_measurement_delete",
            *("admin:reports_apitoken_add", "admin:reports_apitoken_delete"),
        ),
        (302, 302, 302, 302, 302, 404, 302, 302, 302): (
            *("admin:view_on_site", "admin:admin/(?P<url>.*)$"),
        ),
        (302, 302, 302, 302, 302, 405, 302, 302, 302): ("admin:logout",),
        (302, 302, 404, 404, 404, 404, 404, 404, 404): (*("reading_session", "reading_sign"),),
        (302, 403, 200, 403, 403, 200, 403, 200, 403): ("study_new",),
        (302, 404, 200, 200, 404, 200, 404, 404, 404): (
            *("study_design_file", "study_amendments", "study", "job_status", "plan"),
            *("plan_sign", "results_exports"),
        ),
        (302, 404, 200, 404, 200, 200, 404, 404, 404): (
            *("uploads", "upload_status", "uploads_inbox", "readiness", "readiness_panel"),
            *("readiness_people", "readiness_withdraw"),
        ),
        (302, 404, 200, 404, 404, 200, 404, 404, 404): (
            *("study_members", "uploads_rules", "uploads_deidentification", "variants"),
            *("readiness_parameters", "readiness_parameters_file", "readiness_mail"),
            *("readiness_thumbnail", "readiness_pixels", "readiness_flags"),
            *("readiness_compare", "readiness_compare_data", "launch", "lock", "regions"),
            *("regions_observers", "regions_files", "regions_suggest", "regions_volunteer"),
            *("regions_data", "regions_pixels", "results_import", "results_import_mapped"),
        ),
        (302, 404, 302, 404, 404, 302, 404, 404, 404): (*("study_design", "regions_reports"),),
        (302, 404, 403, 200, 404, 200, 404, 404, 404): (*("results", "results_unblind"),),
        (302, 404, 403, 404, 404, 404, 404, 404, 404): ("results_exclusions",),
        (302, 404, 404, 404, 404, 200, 404, 404, 404): (*("operations", "unlock"),),
        (302, 404, 404, 404, 404, 302, 404, 404, 404): ("admin:login",),
        (302, 404, 404, 404, 404, 404, 404, 404, 404): (
            *("uploads_inbox_series", "uploads_inbox_sheet", "variant_evidence"),
            *("variant_image", "variant_warning", "results_figure", "results_file"),
            *("results_bundle", "results_panels", "results_panels_file", "results_images"),
            *("results_images_data", "results_pixels", "plan_version", "plan_file"),
            *("results_export_download", "results_export_file", "results_part"),
        ),
        (302, 405, 405, 405, 405, 405, 405, 405, 405): (
            *("account_sign_ins_end", "account_sign_in_end", "study_member_remove"),
            *("study_site_remove", "study_site_rename", "upload_finish", "upload_places"),
            *("uploads_inbox_clear", "uploads_inbox_discard", "upload_tus"),
            *("upload_tus_file", "series_delete", "variant_arm_remove", "variant_raw_remove"),
            *("readiness_derive", "readiness_accept", "readiness_decide"),
            *("readiness_volunteer_remove", "regions_rules", "regions_act", "regions_save"),
            *("plan_read", "results_exclusion_take_back", "results_export_new"),
            *("results_token_new", "results_token_revoke"),
        ),
        (401, 200, 404, 404, 404, 404, 404, 404, 404): (
            *("reading_item_data", "reading_pixels", "reading_flags"),
        ),
        (401, 403, 403, 403, 403, 403, 403, 403, 403): (
            *("api_schema", "api_study", "api_results", "api_bundle", "api_file"),
            "api_unknown",
        ),
        (401, 405, 405, 405, 405, 405, 405, 405, 405): (
            *("reading_display", "reading_pause", "reading_open", "reading_scores"),
            *("reading_comment", "reading_marks", "reading_visit", "reading_submit"),
            "reading_faults",
        ),
        (404, 404, 404, 404, 404, 404, 404, 404, 404): (
            *("metrics", "openid_connect_login", "openid_connect_callback"),
        ),
    },
    "POST": {
        (200, 200, 200, 200, 200, 200, 200, 200, 200): (
            *("account_invitation", "account_reset_password"),
            "account_reset_password_from_key",
        ),
        (200, 302, 302, 302, 302, 302, 302, 302, 302): ("account_login",),
        (302, 200, 200, 200, 200, 200, 200, 200, 200): (
            *("account", "account_reauthenticate", "account_change_password"),
            "mfa_reauthenticate",
        ),
        (302, 302, 200): (
            *("admin:index", "admin:logout", "admin:audit_event_changelist"),
            *("admin:audit_event_history", "admin:accounts_user_changelist"),
            *("admin:accounts_user_add", "admin:accounts_user_history"),
            *("admin:accounts_user_change", "admin:reading_randomisation_changelist"),
            *("admin:reading_randomisation_history", "admin:reading_session_changelist"),
            *("admin:reading_session_history", "admin:reading_item_changelist"),
            *("admin:reading_item_history", "admin:reading_scorerevision_changelist"),
            *("admin:reading_scorerevision_history", "admin:reading_pane_changelist"),
            *("admin:reading_pane_history", "admin:reading_commentrevision_changelist"),
            *("admin:reading_marksrevision_changelist", "admin:reading_visit_changelist"),
            *("admin:reading_displaycheck_changelist", "admin:reading_pause_changelist"),
            *("admin:reading_receipt_changelist", "admin:measurements_region_changelist"),
            *("admin:measurements_measurement_changelist", "admin:app_list"),
            *("admin:reports_apitoken_changelist", "admin:reports_apitoken_history"),
        ),
        (302, 302, 302): (
            *("admin:password_change", "admin:admin/audit/event/<path:object_id>/"),
            "admin:admin/accounts/user/<path:object_id>/",
            "admin:admin/reading/randomisation/<path:object_id>/",
            "admin:admin/reading/session/<path:object_id>/",
            "admin:admin/reports/apitoken/<path:object_id>/",
            "admin:admin/reading/item/<path:object_id>/",
            "admin:admin/reading/scorerevision/<path:object_id>/",
            "admin:admin/reading/pane/<path:object_id>/",
            "admin:reading_commentrevision_history",
            "admin:admin/reading/commentrevision/<path:object_id>/",
            "admin:reading_marksrevision_history",
            "admin:admin/reading/marksrevision/<path:object_id>/",
            *("admin:reading_visit_history", "admin:admin/reading/visit/<path:object_id>/"),
            "admin:reading_displaycheck_history",
            "admin:admin/reading/displaycheck/<path:object_id>/",
            *("admin:reading_pause_history", "admin:admin/reading/pause/<path:object_id>/"),
            "admin:reading_receipt_history",
            "admin:admin/reading/receipt/<path:object_id>/",
            "admin:measurements_region_history",
            "admin:admin/measurements/region/<path:object_id>/",
            "admin:measurements_measurement_history",
            "admin:admin/measurements/measurement/<path:object_id>/",
        ),
        (302, 302, 302, 302, 302, 302, 302, 302, 302): (
            *("account_logout", "account_set_password", "mfa_authenticate"),
            *("mfa_activate_totp", "mfa_deactivate_totp", "mfa_generate_recovery_codes"),
            *("mfa_download_recovery_codes", "mfa_add_webauthn"),
            *("mfa_reauthenticate_webauthn", "mfa_remove_webauthn", "mfa_edit_webauthn"),
            *("mfa_login_webauthn", "account_sign_ins_end", "account_sign_in_end"),
        ),
        (302, 302, 403): (
            *("admin:audit_event_add", "admin:audit_event_delete"),
            *("admin:audit_event_change", "admin:accounts_user_delete"),
            *("admin:reading_randomisation_add", "admin:reading_randomisation_delete"),
            *("admin:reading_randomisation_change", "admin:reading_session_add"),
            *("admin:reading_session_delete", "admin:reading_session_change"),
            *("admin:reading_item_add", "admin:reading_item_delete"),
            *("admin:reading_item_change", "admin:reading_scorerevision_add"),
            *("admin:reading_scorerevision_delete", "admin:reading_scorerevision_change"),
            *("admin:reading_pane_add", "admin:reading_pane_delete"),
            *("admin:reading_pane_change", "admin:reading_commentrevision_add"),
            *("admin:reading_commentrevision_delete", "admin:reading_commentrevision_change"),
            *("admin:reading_marksrevision_add", "admin:reading_marksrevision_delete"),
            *("admin:reading_marksrevision_change", "admin:reading_visit_add"),
            *("admin:reading_visit_delete", "admin:reading_visit_change"),
            *("admin:reading_displaycheck_add", "admin:reading_displaycheck_delete"),
            *("admin:reading_displaycheck_change", "admin:reading_pause_add"),
            *("admin:reading_pause_delete", "admin:reading_pause_change"),
            *("admin:reading_receipt_add", "admin:reading_receipt_delete"),
            *("admin:reading_receipt_change", "admin:measurements_region_add"),
            *("admin:measurements_region_delete", "admin:measurements_region_change"),
            *("admin:measurements_measurement_add", "admin:measurements_measurement_delete"),
            *("admin:reports_apitoken_add", "admin:reports_apitoken_delete"),
            "admin:reports_apitoken_change",
            "admin:measurements_measurement_change",
        ),
        (302, 302, 404): (*("admin:view_on_site", "admin:admin/(?P<url>.*)$"),),
        (302, 302, 404, 404, 404, 404, 404, 404, 404): ("reading_sign",),
        (302, 302, 405): (*("admin:password_change_done", "admin:autocomplete", "admin:jsi18n"),),
        (302, 403, 200, 403, 403, 200, 403, 200, 403): ("study_new",),
        (302, 404, 200, 404, 200, 200, 404, 404, 404): (
            *("uploads_inbox", "readiness_people", "readiness_withdraw"),
        ),
        (302, 404, 200, 404, 404, 200, 404, 404, 404): (
            *("study_amendments", "study_members", "variants", "readiness_parameters"),
            *("readiness_mail", "launch", "regions_files"),
        ),
        (302, 404, 204, 404, 204, 204, 404, 404, 404): ("upload_tus_file",),
        (302, 404, 302): ("admin:login",),
        (302, 404, 302, 404, 302, 302, 404, 404, 404): (
            *("series_delete", "readiness_volunteer_remove"),
        ),
        (302, 404, 302, 404, 404, 302, 404, 404, 404): (
            *("study_design", "study_member_remove", "study_site_remove"),
            *("study_site_rename", "variant_arm_remove", "variant_raw_remove"),
            *("readiness_derive", "readiness_accept", "readiness_decide", "regions_rules"),
            "regions_act",
        ),
        (302, 404, 400, 404, 400, 400, 404, 404, 404): (
            *("upload_finish", "upload_places", "upload_tus"),
        ),
        (302, 404, 400, 404, 404, 400, 404, 404, 404): (*("uploads_rules", "regions_save"),),
        (302, 404, 403, 302, 404, 302, 404, 404, 404): (
            *("results_export_new", "results_token_revoke"),
        ),
        (302, 404, 403, 404, 404, 404, 404, 404, 404): (
            *("results_exclusions", "results_exclusion_take_back"),
        ),
        (302, 404, 403, 422, 404, 422, 404, 404, 404): ("results_unblind",),
        (302, 404, 404, 404, 404, 404, 404, 404, 404): (
            *("uploads_inbox_clear", "uploads_inbox_discard"),
        ),
        (302, 404, 404, 404, 404, 422, 404, 404, 404): ("unlock",),
        (302, 404, 422, 404, 404, 422, 404, 404, 404): (
            *("lock", "results_import", "results_import_mapped"),
        ),
        (302, 404, 422, 422, 404, 422, 404, 404, 404): (
            *("plan", "plan_read", "plan_sign", "results_token_new"),
        ),
        (302, 405, 405, 405, 405, 405, 405, 405, 405): (
            *("operations", "mfa_index", "mfa_view_recovery_codes", "mfa_list_webauthn"),
            *("study_design_file", "study", "uploads", "upload_status"),
            *("uploads_inbox_series", "uploads_inbox_sheet", "uploads_deidentification"),
            *("variant_evidence", "variant_image", "variant_warning", "job_status", "home"),
            *("readiness", "readiness_panel", "readiness_parameters_file", "readiness_thumbnail"),
            *("readiness_pixels", "readiness_flags", "readiness_compare"),
            *("readiness_compare_data", "reading_home", "reading_session", "reading_item"),
            *("regions", "regions_observers", "regions_suggest", "regions_reports"),
            *("regions_volunteer", "regions_data", "regions_pixels", "results"),
            *("results_figure", "results_file", "results_bundle", "results_panels"),
            *("results_panels_file", "results_images", "results_images_data"),
            *("results_pixels", "plan_version", "plan_file", "results_exports"),
            *("results_export_download", "results_export_file", "results_part"),
        ),
        (400, 400, 400, 400, 400, 400, 400, 400, 400): ("reading_signin",),
        (401, 400, 400, 400, 400, 400, 400, 400, 400): ("reading_faults",),
        (401, 400, 404, 404, 404, 404, 404, 404, 404): (
            *("reading_display", "reading_pause", "reading_open", "reading_scores"),
            *("reading_comment", "reading_marks", "reading_visit", "reading_submit"),
        ),
        (401, 405, 405, 405, 405, 405, 405, 405, 405): (
            *("reading_item_data", "reading_pixels", "reading_flags"),
        ),
        (404, 404, 404, 404, 404, 404, 404, 404, 404): ("openid_connect_callback",),
        (405, 405, 405, 405, 405, 405, 405, 405, 405): (
            *("health", "ready", "metrics", "account_inactive"),
            *("account_reset_password_done", "account_reset_password_from_key_done"),
            *("openid_connect_login", "socialaccount_login_cancelled"),
            *("socialaccount_login_error", "api_schema", "api_study", "api_results"),
            *("api_bundle", "api_file", "api_unknown"),
        ),
    },
}

TABLE = {PREPARED: ANSWERS_PREPARED, READ: ANSWERS_READ, OPEN: ANSWERS_OPEN}
# Open to a token (tests/reports/test_export_jobs.py), or once a site is configured so
# (tests/web/test_operating.py, tests/accounts/test_single_sign_on.py).
# What belongs to a site is no existence that the coordinator of another may know of; whatever else
# the one is answered, the other is too.
ABOUT_ONE_SITE = {
    *("series_delete", "readiness_withdraw", "readiness_volunteer_remove", "upload_tus_file"),
    *("uploads_inbox_series", "uploads_inbox_sheet"),
    *("uploads_inbox_clear", "uploads_inbox_discard"),
}
REFUSING = {
    *("api_schema", "api_study", "api_results", "api_bundle", "api_file", "api_unknown"),
    *("metrics", "openid_connect_login", "openid_connect_callback"),
    # Nothing is added or deleted there but people, and nothing looked up.
    *("admin:autocomplete", "admin:view_on_site", "admin:admin/(?P<url>.*)$"),
    *("admin:accounts_user_delete", "admin:audit_event_add", "admin:audit_event_delete"),
    *(
        f"admin:{model}_{act}"
        for model in (
            *("measurements_measurement", "measurements_region", "reading_commentrevision"),
            *("reading_displaycheck", "reading_item", "reading_marksrevision", "reading_pane"),
            *("reading_pause", "reading_randomisation", "reading_receipt", "reading_session"),
            *("reading_scorerevision", "reading_visit", "reports_apitoken"),
        )
        for act in ("add", "delete")
    ),
}
