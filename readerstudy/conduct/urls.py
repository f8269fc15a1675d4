from __future__ import annotations

from django.urls import URLPattern, path

from . import views

urlpatterns: list[URLPattern] = [
    path("", views.home, name="home"),
    path("studies/<slug:slug>/readiness/", views.readiness, name="readiness"),
    path("studies/<slug:slug>/readiness/panel/", views.readiness_panel, name="readiness_panel"),
    path(
        "studies/<slug:slug>/readiness/<slug:volunteer_code>/<slug:arm_code>/derive/",
        views.readiness_derive,
        name="readiness_derive",
    ),
    path("studies/<slug:slug>/launch/", views.launch, name="launch"),
    path("studies/<slug:slug>/lock/", views.lock, name="lock"),
]
