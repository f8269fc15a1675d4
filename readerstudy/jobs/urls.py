from __future__ import annotations

from django.urls import URLPattern, path

from . import views

urlpatterns: list[URLPattern] = [
    path("jobs/<uuid:job_id>/status/", views.status, name="job_status"),
]
