"""The tables of an earlier version come over with everything in them."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

BEFORE = [("reading", "0001_initial"), ("studies", "0001_initial")]
AFTER = [("reading", "0004_tokens_are_panes"), ("studies", "0002_reading_modes")]


def migrated(targets: list[tuple[str, str]]) -> Any:
    """By the command, which takes the triggers away before; the models as they then are."""
    for app, name in targets:
        call_command("migrate", app, name, verbosity=0)
    loader = MigrationExecutor(connection).loader
    return loader.project_state(list(loader.applied_migrations)).apps


@pytest.mark.django_db(transaction=True)
def test_a_study_in_the_middle_of_its_reading_keeps_tokens_sides_and_scores() -> None:
    old = migrated(BEFORE)
    study_model = old.get_model("studies", "Study")
    arm_model = old.get_model("studies", "Arm")
    study = study_model.objects.create(slug="old", title="Old", state="reading")
    draft = study_model.objects.create(slug="draft", title="Draft", state="draft")
    control = arm_model.objects.create(study=study, code="STD", name="standard", is_control=True)
    fast = arm_model.objects.create(study=study, code="DF", name="double-fast")
    criterion = old.get_model("studies", "Criterion").objects.create(
        study=study, code="overall", name="Overall"
    )
    volunteer = old.get_model("imaging", "Volunteer").objects.create(study=study, code="V01")
    sessions = old.get_model("reading", "Session").objects
    session = sessions.create(study=study, reader_code="R1")
    imported = sessions.create(study=study, reader_code="R2", is_imported=True)
    items = old.get_model("reading", "Item").objects
    now = timezone.now()
    tokens = {}
    for position, side in ((1, "left"), (2, "right")):
        made = items.create(
            session=session, position=position, volunteer=volunteer, arm=fast, control_side=side,
            token=f"item{position}", control_token=f"control{position}",
            candidate_token=f"candidate{position}", opened_at=now if position == 1 else None,
        )  # fmt: skip
        tokens[position] = made.pk
    items.create(
        session=imported, position=1, volunteer=volunteer, arm=fast, token="i",
        control_token="c", candidate_token="k",
    )  # fmt: skip
    old.get_model("reading", "ScoreRevision").objects.create(
        item_id=tokens[1], criterion=criterion, revision=1, value=4
    )

    new = migrated(AFTER)
    panes = new.get_model("reading", "Pane").objects
    assert list(
        panes.order_by("item", "number").values_list("item", "number", "role", "arm", "token")
    ) == [
        (tokens[1], 1, "control", control.pk, "control1"),
        (tokens[1], 2, "candidate", fast.pk, "candidate1"),
        (tokens[2], 1, "candidate", fast.pk, "candidate2"),
        (tokens[2], 2, "control", control.pk, "control2"),
    ]
    # Whoever is in the middle of an item can submit it.
    assert panes.filter(item=tokens[1], fetched_at=None).count() == 0
    assert panes.filter(item=tokens[2], fetched_at=None).count() == 2
    score = new.get_model("reading", "ScoreRevision").objects.get()
    assert (score.value, score.ranks, score.cannot_assess) == (4, None, "")
    rules = dict(new.get_model("studies", "Study").objects.values_list("slug", "change_reason"))
    # The frozen protocol asked for no reason.
    assert rules == {"old": "never", "draft": "submitted"}
    assert draft.pk
    call_command("migrate", verbosity=0)
