from __future__ import annotations

from django.urls import URLPattern, path

from . import panel_views, results_views, views
from .act_urls import urlpatterns as act_urls
from .export_urls import urlpatterns as export_urls

urlpatterns: list[URLPattern] = [
    path("studies/<slug:slug>/results/", results_views.results, name="results"),
    path(
        "studies/<slug:slug>/results/figures/<slug:name>.<slug:image_format>",
        results_views.results_figure,
        name="results_figure",
    ),
    path(
        "studies/<slug:slug>/results/files/<str:name>",
        results_views.results_file,
        name="results_file",
    ),
    path(
        "studies/<slug:slug>/results/bundle.zip",
        results_views.results_bundle,
        name="results_bundle",
    ),
    path("studies/<slug:slug>/results/panels/", panel_views.panels, name="results_panels"),
    path(
        "studies/<slug:slug>/results/panels/<slug:name>.<slug:image_format>",
        panel_views.panels_file,
        name="results_panels_file",
    ),
    path(
        "studies/<slug:slug>/results/images/<slug:volunteer_code>/",
        panel_views.images,
        name="results_images",
    ),
    path(
        "studies/<slug:slug>/results/images/<slug:volunteer_code>/data/",
        panel_views.images_data,
        name="results_images_data",
    ),
    path(
        "studies/<slug:slug>/results/pixels/<uuid:series_id>/<int:index>",
        panel_views.pixels,
        name="results_pixels",
    ),
    path("studies/<slug:slug>/import/", views.results_import, name="results_import"),
    *act_urls,
    *export_urls,
    # Last: any other word is one of the further pages, or none.
    path(
        "studies/<slug:slug>/results/<slug:part>/",
        results_views.results_part,
        name="results_part",
    ),
]
