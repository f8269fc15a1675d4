from __future__ import annotations

from django.urls import URLPattern, path

from . import views

urlpatterns: list[URLPattern] = [
    path("studies/<slug:slug>/variants/", views.arms, name="variants"),
    path(
        "studies/<slug:slug>/variants/arms/<str:arm_code>/remove/",
        views.arm_remove,
        name="variant_arm_remove",
    ),
    path(
        "studies/<slug:slug>/variants/raw/<uuid:raw_id>/remove/",
        views.raw_remove,
        name="variant_raw_remove",
    ),
    path(
        "studies/<slug:slug>/variants/<uuid:series_id>/",
        views.evidence,
        name="variant_evidence",
    ),
    path(
        "studies/<slug:slug>/variants/<uuid:series_id>/warning-map.zip",
        views.warning,
        name="variant_warning",
    ),
    path(
        "studies/<slug:slug>/variants/<uuid:series_id>/<slug:picture>/<int:index>.png",
        views.image,
        name="variant_image",
    ),
]
