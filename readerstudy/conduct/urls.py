from __future__ import annotations

from django.urls import URLPattern, path

from . import image_views, locking_views, people_views, views

urlpatterns: list[URLPattern] = [
    path("", views.home, name="home"),
    path("studies/<slug:slug>/readiness/", views.readiness, name="readiness"),
    path("studies/<slug:slug>/readiness/panel/", views.readiness_panel, name="readiness_panel"),
    path(
        "studies/<slug:slug>/readiness/<slug:volunteer_code>/<slug:arm_code>/derive/",
        views.readiness_derive,
        name="readiness_derive",
    ),
    path("studies/<slug:slug>/readiness/accept/", image_views.accept, name="readiness_accept"),
    path(
        "studies/<slug:slug>/readiness/people/",
        people_views.volunteers_and_readers,
        name="readiness_people",
    ),
    path(
        "studies/<slug:slug>/readiness/acquisition/",
        people_views.parameters,
        name="readiness_parameters",
    ),
    path(
        "studies/<slug:slug>/readiness/acquisition.csv",
        people_views.parameters_file,
        name="readiness_parameters_file",
    ),
    path("studies/<slug:slug>/readiness/mail/", views.mail_readers, name="readiness_mail"),
    path(
        "studies/<slug:slug>/readiness/series/<uuid:series_id>/thumbnail/",
        image_views.thumbnail,
        name="readiness_thumbnail",
    ),
    path(
        "studies/<slug:slug>/readiness/series/<uuid:series_id>/decide/",
        image_views.decide,
        name="readiness_decide",
    ),
    path(
        "studies/<slug:slug>/readiness/series/<uuid:series_id>/<int:index>",
        image_views.pixels,
        name="readiness_pixels",
    ),
    path(
        "studies/<slug:slug>/readiness/series/<uuid:series_id>/flags/<int:index>",
        image_views.flags,
        name="readiness_flags",
    ),
    path(
        "studies/<slug:slug>/readiness/volunteers/<slug:volunteer_code>/",
        image_views.compare,
        name="readiness_compare",
    ),
    path(
        "studies/<slug:slug>/readiness/volunteers/<slug:volunteer_code>/data/",
        image_views.compare_data,
        name="readiness_compare_data",
    ),
    path(
        "studies/<slug:slug>/readiness/volunteers/<slug:volunteer_code>/withdraw/",
        people_views.withdraw,
        name="readiness_withdraw",
    ),
    path(
        "studies/<slug:slug>/readiness/volunteers/<slug:volunteer_code>/remove/",
        people_views.remove_volunteer,
        name="readiness_volunteer_remove",
    ),
    path("studies/<slug:slug>/launch/", views.launch, name="launch"),
    path("studies/<slug:slug>/lock/", locking_views.lock, name="lock"),
    path("studies/<slug:slug>/unlock/", locking_views.unlock, name="unlock"),
]
