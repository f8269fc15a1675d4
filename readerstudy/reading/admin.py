"""Scores and orders in the administration site: to be read, never to be changed.

Before a study is locked nobody sees its scores, nor which volunteer and arm an item shows. An
administrator who reads in it sees none of its rows. What a reader did and on which display is for
the statistician's files alone: here stands that it was recorded, never what.
"""

from __future__ import annotations

from django.contrib import admin

from readerstudy.studies.admin import BlindedAdmin

from .models import (
    CommentRevision,
    DisplayCheck,
    Item,
    MarksRevision,
    Pane,
    Pause,
    Randomisation,
    Receipt,
    ScoreRevision,
    Session,
    Visit,
)


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
    from_the_lock_on = ("volunteer", "arm", "comparison")
    list_display = ("session", "position", "purpose", "opened_at", "submitted_at")


@admin.register(ScoreRevision)
class ScoreRevisionAdmin(BlindedAdmin):
    study_path = "item__session__study"
    sealed_until_lock = True
    list_display = ("item", "criterion", "value", "revision", "created_at")


@admin.register(Pane)
class PaneAdmin(BlindedAdmin):
    study_path = "item__session__study"
    from_the_lock_on = ("arm",)
    list_display = ("item", "number", "role", "fetched_at")


@admin.register(CommentRevision)
class CommentRevisionAdmin(BlindedAdmin):
    study_path = "item__session__study"
    sealed_until_lock = True
    list_display = ("item", "revision", "created_at")


@admin.register(MarksRevision)
class MarksRevisionAdmin(BlindedAdmin):
    study_path = "item__session__study"
    sealed_until_lock = True
    list_display = ("item", "revision", "created_at")


@admin.register(Visit)
class VisitAdmin(BlindedAdmin):
    study_path = "item__session__study"
    sealed_until_lock = True
    fields = ("item", "created_at")
    list_display = ("item", "created_at")


@admin.register(DisplayCheck)
class DisplayCheckAdmin(BlindedAdmin):
    study_path = "session__study"
    sealed_until_lock = True
    fields = ("session", "created_at")
    list_display = ("session", "created_at")


@admin.register(Pause)
class PauseAdmin(BlindedAdmin):
    study_path = "session__study"
    sealed_until_lock = True
    list_display = ("session", "began_at", "ended_at")


@admin.register(Receipt)
class ReceiptAdmin(BlindedAdmin):
    study_path = "session__study"
    sealed_until_lock = True
    fields = ("session", "client_id", "act", "content_sha256", "created_at")
    list_display = ("session", "client_id", "created_at")
