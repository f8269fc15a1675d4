from __future__ import annotations

from django.apps import AppConfig


class ImagingConfig(AppConfig):
    name = "readerstudy.imaging"
    verbose_name = "Imaging"
