from __future__ import annotations

from django.urls import path

from . import views

urlpatterns = [
    path("", views.home, name="reading_home"),
    path("session/<str:token>/", views.session, name="reading_session"),
    path("item/<str:token>/", views.item, name="reading_item"),
    path("item/<str:token>/data/", views.item_data, name="reading_item_data"),
    path("item/<str:token>/scores/", views.scores, name="reading_scores"),
    path("item/<str:token>/submit/", views.submit, name="reading_submit"),
    path("pixels/<str:token>/<int:index>", views.pixels, name="reading_pixels"),
]
