"""Regions and measurements in the administration site: to be read, never to be changed.

An administrator who reads in a study that is not locked sees none of its rows: they name the arms.
Means by arm are shown to nobody before the lock.
"""

from __future__ import annotations

from django.contrib import admin

from readerstudy.studies.admin import BlindedAdmin

from .models import Measurement, Region


@admin.register(Region)
class RegionAdmin(BlindedAdmin):
    study_path = "volunteer__study"
    list_display = ("volunteer", "tissue", "revision", "slice_index", "placed_by", "created_at")
    list_filter = ("volunteer__study",)


@admin.register(Measurement)
class MeasurementAdmin(BlindedAdmin):
    study_path = "volunteer__study"
    sealed_until_lock = True
    list_display = ("volunteer", "tissue", "arm", "revision", "origin", "n_pixels", "mean", "sd")
    list_filter = ("volunteer__study", "origin")
