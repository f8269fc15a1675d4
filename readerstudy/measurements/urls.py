from __future__ import annotations

from django.urls import path

from . import views

_study = "studies/<slug:slug>/regions/"

urlpatterns = [
    path(_study, views.index, name="regions"),
    path(f"{_study}<str:code>/", views.volunteer, name="regions_volunteer"),
    path(f"{_study}<str:code>/data/", views.data, name="regions_data"),
    path(f"{_study}<str:code>/save/", views.save, name="regions_save"),
    path(f"{_study}<str:code>/<str:arm>/<int:index>", views.pixels, name="regions_pixels"),
]
