from __future__ import annotations

from django.urls import URLPattern, path

from . import design_views

urlpatterns: list[URLPattern] = [
    path("studies/new/", design_views.study_new, name="study_new"),
    path("studies/<slug:slug>/design/", design_views.study_design, name="study_design"),
    path(
        "studies/<slug:slug>/design.json", design_views.study_design_file, name="study_design_file"
    ),
    path("studies/<slug:slug>/amendments/", design_views.study_amendments, name="study_amendments"),
]
