"""Addresses of the export page, of the import with mapping, and of the API."""

from __future__ import annotations

from django.urls import URLPattern, path

from . import export_views as page
from . import import_views
from .api import views as api

urlpatterns: list[URLPattern] = [
    path("studies/<slug:slug>/results/export/", page.exports_page, name="results_exports"),
    path("studies/<slug:slug>/results/export/new/", page.export_new, name="results_export_new"),
    path(
        "studies/<slug:slug>/results/export/<uuid:export>/bundle.zip",
        page.export_download,
        name="results_export_download",
    ),
    path(
        "studies/<slug:slug>/results/export/files/<path:name>",
        page.export_file,
        name="results_export_file",
    ),
    path("studies/<slug:slug>/results/export/tokens/", page.token_new, name="results_token_new"),
    path(
        "studies/<slug:slug>/results/export/tokens/<int:number>/revoke/",
        page.token_revoke,
        name="results_token_revoke",
    ),
    path(
        "studies/<slug:slug>/import/mapped/",
        import_views.import_mapped,
        name="results_import_mapped",
    ),
    path("api/v1/openapi.json", api.api_schema, name="api_schema"),
    path("api/v1/studies/<slug:slug>/", api.api_study, name="api_study"),
    path("api/v1/studies/<slug:slug>/results/", api.api_results, name="api_results"),
    path("api/v1/studies/<slug:slug>/bundle.zip", api.api_bundle, name="api_bundle"),
    path("api/v1/studies/<slug:slug>/files/<path:name>", api.api_file, name="api_file"),
    path("api/<path:name>", api.api_unknown, name="api_unknown"),
]
