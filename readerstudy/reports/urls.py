from __future__ import annotations

from django.urls import URLPattern, path

from . import views
from .export_urls import urlpatterns as export_urls

urlpatterns: list[URLPattern] = [
    path("studies/<slug:slug>/results/", views.results, name="results"),
    path("studies/<slug:slug>/results/unblind/", views.unblind, name="results_unblind"),
    path(
        "studies/<slug:slug>/results/figures/<slug:name>.<slug:image_format>",
        views.results_figure,
        name="results_figure",
    ),
    path("studies/<slug:slug>/results/files/<str:name>", views.results_file, name="results_file"),
    path("studies/<slug:slug>/results/bundle.zip", views.results_bundle, name="results_bundle"),
    path("studies/<slug:slug>/import/", views.results_import, name="results_import"),
    *export_urls,
]
