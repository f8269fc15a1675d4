from __future__ import annotations

from django.urls import URLPattern, path

from . import deidentification_views, inbox_views, tus, views

urlpatterns: list[URLPattern] = [
    path("studies/<slug:slug>/uploads/", views.upload_page, name="uploads"),
    path("studies/<slug:slug>/uploads/status/", views.upload_status, name="upload_status"),
    path("studies/<slug:slug>/uploads/finish/", views.upload_finish, name="upload_finish"),
    path("studies/<slug:slug>/uploads/places/", views.upload_places, name="upload_places"),
    path("studies/<slug:slug>/uploads/rules/", views.rules_page, name="uploads_rules"),
    path("studies/<slug:slug>/uploads/inbox/", inbox_views.inbox_page, name="uploads_inbox"),
    path(
        "studies/<slug:slug>/uploads/inbox/<uuid:series_id>/",
        inbox_views.inbox_series,
        name="uploads_inbox_series",
    ),
    path(
        "studies/<slug:slug>/uploads/inbox/<uuid:series_id>/sheet.png",
        inbox_views.inbox_sheet,
        name="uploads_inbox_sheet",
    ),
    path(
        "studies/<slug:slug>/uploads/inbox/<uuid:series_id>/clear/",
        inbox_views.inbox_clear,
        name="uploads_inbox_clear",
    ),
    path(
        "studies/<slug:slug>/uploads/inbox/<uuid:series_id>/discard/",
        inbox_views.inbox_discard,
        name="uploads_inbox_discard",
    ),
    path(
        "studies/<slug:slug>/uploads/deidentification/",
        deidentification_views.deidentification_report,
        name="uploads_deidentification",
    ),
    path("studies/<slug:slug>/uploads/tus/", tus.collection, name="upload_tus"),
    path("studies/<slug:slug>/uploads/tus/<uuid:upload_id>/", tus.file, name="upload_tus_file"),
    path(
        "studies/<slug:slug>/series/<uuid:series_id>/delete/",
        views.series_delete,
        name="series_delete",
    ),
]
