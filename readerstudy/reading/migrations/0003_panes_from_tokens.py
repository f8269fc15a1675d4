"""The two panes of every item that was ordered here, under the tokens that they had."""

from __future__ import annotations

from typing import Any

from django.db import migrations

BATCH = 500


def panes_from_tokens(apps: Any, schema_editor: Any) -> None:
    """What was opened was fetched: nobody in the middle of an item is sent back."""
    item_model, pane_model = apps.get_model("reading", "Item"), apps.get_model("reading", "Pane")
    arm_model = apps.get_model("studies", "Arm")
    controls = dict(arm_model.objects.filter(is_control=True).values_list("study_id", "id"))
    panes = []
    items = item_model.objects.filter(session__is_imported=False).select_related("session")
    for item in items.order_by("id").iterator(chunk_size=BATCH):
        control = {
            "role": "control",
            "arm_id": controls[item.session.study_id],
            "token": item.control_token,
        }
        candidate = {"role": "candidate", "arm_id": item.arm_id, "token": item.candidate_token}
        ordered = [control, candidate] if item.control_side == "left" else [candidate, control]
        panes += [
            pane_model(item_id=item.pk, number=number, fetched_at=item.opened_at, **pane)
            for number, pane in enumerate(ordered, start=1)
        ]
    pane_model.objects.bulk_create(panes, batch_size=BATCH)


class Migration(migrations.Migration):
    dependencies = [("reading", "0002_modes_and_record")]
    # Backwards there is nothing to do here: 0004 gives the columns back, of an empty table alone.
    operations = [migrations.RunPython(panes_from_tokens, migrations.RunPython.noop)]
