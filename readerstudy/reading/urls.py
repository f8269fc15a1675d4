from __future__ import annotations

from django.urls import path

from . import exchange, signing, signing_in, views

urlpatterns = [
    path("", views.home, name="reading_home"),
    path("session/<str:token>/", views.session, name="reading_session"),
    path("session/<str:token>/sign/", signing.sign, name="reading_sign"),
    path("session/<str:token>/display/", exchange.display, name="reading_display"),
    path("session/<str:token>/pause/", exchange.pause, name="reading_pause"),
    path("item/<str:token>/", views.item, name="reading_item"),
    path("item/<str:token>/data/", exchange.item_data, name="reading_item_data"),
    path("item/<str:token>/open/", exchange.open_, name="reading_open"),
    path("item/<str:token>/scores/", exchange.scores, name="reading_scores"),
    path("item/<str:token>/comment/", exchange.comment, name="reading_comment"),
    path("item/<str:token>/marks/", exchange.marks, name="reading_marks"),
    path("item/<str:token>/visit/", exchange.visit, name="reading_visit"),
    path("item/<str:token>/submit/", exchange.submit, name="reading_submit"),
    path("pixels/<str:token>/<int:index>", views.pixels, name="reading_pixels"),
    path("flags/<str:token>/<int:index>", views.flags, name="reading_flags"),
    path("signin/", signing_in.signin, name="reading_signin"),
    path("faults/", exchange.faults, name="reading_faults"),
]
