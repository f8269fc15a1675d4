"""Addresses of the analysis plan, the unblinding and the exclusions."""

from __future__ import annotations

from django.urls import URLPattern, path

from . import act_views as acts
from . import plan_views as plans

urlpatterns: list[URLPattern] = [
    path("studies/<slug:slug>/plan/", plans.plan, name="plan"),
    path("studies/<slug:slug>/plan/read/", plans.plan_read, name="plan_read"),
    path("studies/<slug:slug>/plan/sign/", plans.plan_sign, name="plan_sign"),
    path(
        "studies/<slug:slug>/plan/versions/<int:number>/", plans.plan_version, name="plan_version"
    ),
    path("studies/<slug:slug>/plan/versions/<int:number>.json", plans.plan_file, name="plan_file"),
    path("studies/<slug:slug>/results/unblind/", acts.unblind, name="results_unblind"),
    path("studies/<slug:slug>/results/exclusions/", acts.exclusions, name="results_exclusions"),
    path(
        "studies/<slug:slug>/results/exclusions/<int:number>/take-back/",
        acts.take_back,
        name="results_exclusion_take_back",
    ),
]
