from __future__ import annotations

from django.urls import URLPattern, path

from . import health, metrics, operations

urlpatterns: list[URLPattern] = [
    path("health", health.health, name="health"),
    path("ready", health.ready, name="ready"),
    path("metrics", metrics.metrics, name="metrics"),
    path("operations/", operations.operations, name="operations"),
]
