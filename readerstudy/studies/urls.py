from __future__ import annotations

from django.urls import URLPattern, path

from . import views

urlpatterns: list[URLPattern] = [
    path("studies/<slug:slug>/", views.study, name="study"),
    path("studies/<slug:slug>/members/", views.study_members, name="study_members"),
    path(
        "studies/<slug:slug>/members/<int:membership_id>/remove/",
        views.study_member_remove,
        name="study_member_remove",
    ),
    path(
        "studies/<slug:slug>/members/sites/<int:site_id>/remove/",
        views.study_site_remove,
        name="study_site_remove",
    ),
    path(
        "studies/<slug:slug>/members/sites/<int:site_id>/rename/",
        views.study_site_rename,
        name="study_site_rename",
    ),
]
