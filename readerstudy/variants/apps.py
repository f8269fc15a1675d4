from __future__ import annotations

from django.apps import AppConfig


class VariantsConfig(AppConfig):
    name = "readerstudy.variants"
    verbose_name = "Variants"
