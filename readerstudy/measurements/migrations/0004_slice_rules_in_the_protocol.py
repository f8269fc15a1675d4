"""The slice rule is part of the protocol's region template: it goes to where the template is."""

from __future__ import annotations

from typing import Any

from django.db import migrations


def to_the_template(apps: Any, schema_editor: Any) -> None:
    tissues = apps.get_model("studies", "Tissue").objects
    for tissue, rule in apps.get_model("measurements", "SliceRule").objects.values_list(
        "tissue_id", "rule"
    ):
        tissues.filter(pk=tissue).update(slice_rule=rule)


def from_the_template(apps: Any, schema_editor: Any) -> None:
    rules = apps.get_model("measurements", "SliceRule").objects
    for tissue, rule in apps.get_model("studies", "Tissue").objects.values_list("pk", "slice_rule"):
        rules.create(tissue_id=tissue, rule=rule)


class Migration(migrations.Migration):
    dependencies = [
        ("measurements", "0003_observers_and_freezing"),
        ("studies", "0003_design"),
    ]

    operations = [
        migrations.RunPython(to_the_template, from_the_template),
        migrations.DeleteModel(name="SliceRule"),
    ]
