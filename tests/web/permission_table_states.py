"""The table of `permission_table` for a study in preparation and for one whose key is open.

Columns: a reader, a coordinator, a statistician and a coordinator of one site of the study; an
administrator; a coordinator of another study. Methods that an address does not take (405) are asked
for where a study is being read.
"""

from __future__ import annotations

Rows = dict[tuple[int, ...], tuple[str, ...]]

ANSWERS_PREPARED: dict[str, Rows] = {
    "GET": {
        (200, 200, 200, 200, 200, 200): ("account_invitation",),
        (403, 403, 403, 403, 403, 403): (*("api_study", "api_results", "api_bundle", "api_file"),),
        (404, 200, 200, 404, 200, 404): (
            *("study_design_file", "study", "plan", "plan_sign", "results_exports"),
        ),
        (404, 200, 404, 200, 200, 404): (
            *("uploads", "upload_status", "uploads_inbox", "readiness", "readiness_panel"),
            *("readiness_people", "readiness_withdraw"),
            *("uploads_inbox_series", "uploads_inbox_sheet"),
        ),
        (404, 200, 404, 404, 200, 404): (
            *("study_design", "study_members", "uploads_rules"),
            *("uploads_deidentification", "variants"),
            *("variant_evidence", "variant_image", "variant_warning", "readiness_parameters"),
            *("readiness_parameters_file", "readiness_mail", "readiness_thumbnail"),
            *("readiness_pixels", "readiness_flags", "readiness_compare"),
            *("readiness_compare_data", "launch", "lock", "regions", "regions_observers"),
            *("regions_files", "regions_suggest", "regions_volunteer", "regions_data"),
            *("regions_pixels", "results_import", "results_import_mapped"),
        ),
        (404, 302, 302, 404, 302, 404): ("study_amendments",),
        (404, 302, 404, 404, 302, 404): ("regions_reports",),
        (404, 403, 200, 404, 200, 404): (*("results", "results_unblind"),),
        (404, 403, 404, 404, 404, 404): ("results_exclusions",),
        (404, 404, 404, 404, 200, 404): ("unlock",),
        (404, 404, 404, 404, 404, 404): (
            *("reading_session", "reading_sign", "reading_item", "reading_item_data"),
            *("reading_pixels", "reading_flags", "results_figure", "results_file"),
            *("results_bundle", "results_panels", "results_panels_file", "results_images"),
            *("results_images_data", "results_pixels", "plan_version", "plan_file"),
            *("results_export_download", "results_export_file", "results_part"),
        ),
    },
    "POST": {
        (200, 200, 200, 200, 200, 200): ("account_invitation",),
        (404, 200, 404, 200, 200, 404): (
            *("uploads_inbox", "readiness_people", "readiness_withdraw"),
        ),
        (404, 200, 404, 404, 200, 404): (
            *("study_design", "study_members", "variants", "readiness_parameters"),
            *("readiness_mail", "launch", "regions_files"),
        ),
        (404, 204, 404, 204, 204, 404): ("upload_tus_file",),
        (404, 302, 404, 302, 302, 404): (
            *("series_delete", "readiness_volunteer_remove"),
            *("uploads_inbox_clear", "uploads_inbox_discard"),
        ),
        (404, 302, 404, 404, 302, 404): (
            *("study_amendments", "study_member_remove", "study_site_remove"),
            "study_site_rename",
            *("variant_arm_remove", "variant_raw_remove", "readiness_derive"),
            *("readiness_accept", "readiness_decide", "regions_rules", "regions_act"),
        ),
        (404, 400, 404, 400, 400, 404): (*("upload_finish", "upload_places", "upload_tus"),),
        (404, 400, 404, 404, 400, 404): (*("uploads_rules", "regions_save"),),
        (404, 403, 302, 404, 302, 404): (*("results_export_new", "results_token_revoke"),),
        (404, 403, 404, 404, 404, 404): (*("results_exclusions", "results_exclusion_take_back"),),
        (404, 403, 422, 404, 422, 404): ("results_unblind",),
        (404, 404, 404, 404, 404, 404): (
            *("reading_sign", "reading_display", "reading_pause", "reading_open"),
            *("reading_scores", "reading_comment", "reading_marks", "reading_visit"),
            "reading_submit",
        ),
        (404, 404, 404, 404, 422, 404): ("unlock",),
        (404, 422, 404, 404, 422, 404): (*("lock", "results_import", "results_import_mapped"),),
        (404, 422, 422, 404, 422, 404): (*("plan", "plan_read", "plan_sign", "results_token_new"),),
    },
}

ANSWERS_OPEN: dict[str, Rows] = {
    "GET": {
        (200, 200, 200, 200, 200, 200): ("account_invitation",),
        (200, 404, 404, 404, 404, 404): (*("reading_session", "reading_sign"),),
        (302, 404, 404, 404, 404, 404): ("reading_item",),
        (403, 403, 403, 403, 403, 403): (*("api_study", "api_results", "api_bundle", "api_file"),),
        (404, 200, 200, 404, 200, 404): (
            *("study_design_file", "study_amendments", "study", "results", "results_figure"),
            *("results_file", "results_panels", "results_panels_file", "results_images"),
            *("results_images_data", "results_pixels", "plan", "plan_version", "plan_file"),
            *("results_exports", "results_export_download", "results_export_file"),
            "results_part",
        ),
        (404, 200, 404, 200, 200, 404): (
            *("uploads", "upload_status", "uploads_inbox", "readiness", "readiness_panel"),
            *("readiness_people", "readiness_withdraw"),
        ),
        (404, 200, 404, 404, 200, 404): (
            *("study_members", "uploads_rules", "uploads_deidentification", "variants"),
            *("readiness_parameters", "readiness_parameters_file", "readiness_mail"),
            *("readiness_thumbnail", "readiness_pixels", "readiness_flags"),
            *("readiness_compare", "readiness_compare_data", "launch", "lock", "regions"),
            *("regions_observers", "regions_files", "regions_suggest", "regions_volunteer"),
            *("regions_data", "regions_pixels", "results_import", "results_import_mapped"),
        ),
        (404, 302, 302, 404, 302, 404): ("plan_sign",),
        (404, 302, 404, 404, 302, 404): (*("study_design", "regions_reports"),),
        (404, 403, 200, 404, 200, 404): (*("results_unblind", "results_exclusions"),),
        (404, 404, 404, 404, 200, 404): ("unlock",),
        (404, 404, 404, 404, 404, 404): (
            *("uploads_inbox_series", "uploads_inbox_sheet", "variant_evidence"),
            *(
                "variant_image",
                "variant_warning",
                "reading_item_data",
                "reading_pixels",
                "reading_flags",
            ),
        ),
    },
    "POST": {
        (200, 200, 200, 200, 200, 200): ("account_invitation",),
        (400, 404, 404, 404, 404, 404): (
            *("reading_display", "reading_pause", "reading_open", "reading_scores"),
            *("reading_comment", "reading_marks", "reading_visit", "reading_submit"),
        ),
        (404, 200, 404, 200, 200, 404): (
            *("uploads_inbox", "readiness_people", "readiness_withdraw"),
        ),
        (404, 200, 404, 404, 200, 404): (
            *("study_members", "variants", "readiness_parameters", "readiness_mail"),
            *("launch", "regions_files"),
        ),
        (404, 204, 404, 204, 204, 404): ("upload_tus_file",),
        (404, 302, 302, 404, 302, 404): (*("plan_sign", "results_export_new"),),
        (404, 302, 404, 302, 302, 404): (*("series_delete", "readiness_volunteer_remove"),),
        (404, 302, 404, 404, 302, 404): (
            *("study_design", "study_member_remove", "study_site_remove"),
            *("study_site_rename", "variant_arm_remove", "variant_raw_remove"),
            *("readiness_derive", "readiness_accept", "readiness_decide", "regions_rules"),
            "regions_act",
        ),
        (404, 400, 404, 400, 400, 404): (*("upload_finish", "upload_places", "upload_tus"),),
        (404, 400, 404, 404, 400, 404): (*("uploads_rules", "regions_save"),),
        (404, 403, 302, 404, 302, 404): (
            *("results_unblind", "results_exclusion_take_back", "results_token_revoke"),
        ),
        (404, 403, 404, 404, 403, 404): ("study_amendments",),
        (404, 403, 422, 404, 422, 404): ("results_exclusions",),
        (404, 404, 404, 404, 404, 404): (*("uploads_inbox_clear", "uploads_inbox_discard"),),
        (404, 404, 404, 404, 422, 404): ("unlock",),
        (404, 422, 404, 404, 422, 404): (*("lock", "results_import", "results_import_mapped"),),
        (404, 422, 422, 404, 422, 404): (*("plan", "plan_read", "results_token_new"),),
        (422, 404, 404, 404, 404, 404): ("reading_sign",),
    },
}
