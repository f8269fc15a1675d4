from __future__ import annotations

from django.urls import URLPattern, path

from . import tus, views

urlpatterns: list[URLPattern] = [
    path("studies/<slug:slug>/uploads/", views.upload_page, name="uploads"),
    path("studies/<slug:slug>/uploads/status/", views.upload_status, name="upload_status"),
    path("studies/<slug:slug>/uploads/finish/", views.upload_finish, name="upload_finish"),
    path("studies/<slug:slug>/uploads/tus/", tus.collection, name="upload_tus"),
    path("studies/<slug:slug>/uploads/tus/<uuid:upload_id>/", tus.file, name="upload_tus_file"),
    path(
        "studies/<slug:slug>/series/<uuid:series_id>/delete/",
        views.series_delete,
        name="series_delete",
    ),
]
