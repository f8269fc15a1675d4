"""Scores and orders in the administration site: to be read, never to be changed.

Before a study is locked nobody sees its scores, nor which volunteer and arm an item shows. An
administrator who reads in it sees none of its rows.
"""

from __future__ import annotations

from django.contrib import admin

from readerstudy.studies.admin import BlindedAdmin

from .models import Item, Randomisation, ScoreRevision, Session


@admin.register(Randomisation)
class RandomisationAdmin(BlindedAdmin):
    list_display = ("study", "algorithm", "sha256", "created_at")
    from_the_lock_on = ("seed", "permutation")


@admin.register(Session)
class SessionAdmin(BlindedAdmin):
    list_display = ("study", "reader_code", "occasion", "started_at", "completed_at")
    list_filter = ("study",)


@admin.register(Item)
class ItemAdmin(BlindedAdmin):
    study_path = "session__study"
    from_the_lock_on = ("volunteer", "arm")
    list_display = ("session", "position", "purpose", "opened_at", "submitted_at")


@admin.register(ScoreRevision)
class ScoreRevisionAdmin(BlindedAdmin):
    study_path = "item__session__study"
    sealed_until_lock = True
    list_display = ("item", "criterion", "value", "revision", "created_at")
