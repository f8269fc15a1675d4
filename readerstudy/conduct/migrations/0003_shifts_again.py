"""Shifts that were given up because the storage was away for a moment are measured again."""

from typing import Any

from django.db import migrations

UNREADABLE = "The images could not be read from the storage."


def forget(apps: Any, schema_editor: Any) -> None:
    apps.get_model("conduct", "SeriesShift").objects.filter(note=UNREADABLE).delete()


class Migration(migrations.Migration):
    dependencies = [("conduct", "0002_locks")]

    operations = [migrations.RunPython(forget, migrations.RunPython.noop)]
