from __future__ import annotations

from django.urls import path

from . import desk_views, views

_study = "studies/<slug:slug>/regions/"

urlpatterns = [
    path(_study, views.index, name="regions"),
    path("studies/<slug:slug>/region-observers/", desk_views.observers, name="regions_observers"),
    path("studies/<slug:slug>/region-files/", desk_views.bring_in, name="regions_files"),
    path("studies/<slug:slug>/region-rules/", desk_views.rules, name="regions_rules"),
    path(f"{_study}<str:code>/suggestions/", desk_views.suggest, name="regions_suggest"),
    path(f"{_study}<str:code>/reports/", desk_views.reports, name="regions_reports"),
    path(f"{_study}<str:code>/acts/<str:what>/", desk_views.act, name="regions_act"),
    path(f"{_study}<str:code>/", views.volunteer, name="regions_volunteer"),
    path(f"{_study}<str:code>/data/", views.data, name="regions_data"),
    path(f"{_study}<str:code>/save/", views.save, name="regions_save"),
    path(f"{_study}<str:code>/<str:arm>/<int:index>", views.pixels, name="regions_pixels"),
]
