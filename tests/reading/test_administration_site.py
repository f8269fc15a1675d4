"""Before the lock the administration site tells nobody a score or which arm an item shows."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from readerstudy.accounts.models import User
from readerstudy.audit.models import Event
from readerstudy.audit.services import verify_chain
from readerstudy.reading.models import Randomisation, ScoreRevision
from readerstudy.studies.models import Study
from tests.reading.imaged_study import (
    first_item,
    make_imaged_study,
    score_item,
    session_of,
    start_reading,
)

pytestmark = pytest.mark.django_db
SITE = "/admin"


@pytest.fixture
def administrator(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("root@example.org"))
    return client


@pytest.fixture
def study() -> Study:
    study = start_reading(make_imaged_study(volunteers=2, readers=1))
    score_item(first_item(session_of(study)))
    return study


def answers(client: Client, study: Study) -> dict[str, Any]:
    score = ScoreRevision.objects.first()
    assert score is not None
    event = Event.objects.filter(action="reading.score.recorded").first()
    closing = Event.objects.filter(action="reading.item.submitted").first()
    assert event is not None
    assert closing is not None
    order = Randomisation.objects.get(study=study)
    return {
        "score": client.get(f"{SITE}/reading/scorerevision/{score.pk}/change/"),
        "scores": client.get(f"{SITE}/reading/scorerevision/"),
        "event": client.get(f"{SITE}/audit/event/{event.pk}/change/"),
        "closing": client.get(f"{SITE}/audit/event/{closing.pk}/change/"),
        "events": client.get(f"{SITE}/audit/event/?q=reading.score"),
        "item": client.get(f"{SITE}/reading/item/{score.item_id}/change/"),
        "order": client.get(f"{SITE}/reading/randomisation/{order.pk}/change/"),
    }


def test_before_the_lock_no_administrator_reads_scores_or_the_arm_of_an_item(
    administrator: Client, study: Study
) -> None:
    found = answers(administrator, study)
    for name in ("score", "event", "closing"):
        assert found[name].status_code == 302, name  # back to the index: there is no such row
    assert found["scores"].context["cl"].result_count == 0
    assert found["events"].context["cl"].result_count == 0
    assert found["item"].status_code == 200
    assert "field-position" in found["item"].content.decode()
    for field in ("field-arm", "field-volunteer"):
        assert field not in found["item"].content.decode()
    assert "field-sha256" in found["order"].content.decode()
    for field in ("field-permutation", "field-seed"):
        assert field not in found["order"].content.decode()
    assert verify_chain().is_sound
    launched = administrator.get(f"{SITE}/audit/event/?q=reading.randomisation.stored")
    assert launched.context["cl"].result_count == 1  # the rest of the trail is there


def test_from_the_lock_on_an_administrator_reads_them(administrator: Client, study: Study) -> None:
    Study.objects.filter(pk=study.pk).update(state=Study.State.LOCKED)
    found = answers(administrator, study)
    assert {answer.status_code for answer in found.values()} == {200}
    assert found["scores"].context["cl"].result_count > 0
    assert found["events"].context["cl"].result_count > 0
    for field in ("field-arm", "field-volunteer"):
        assert field in found["item"].content.decode()
    assert "field-permutation" in found["order"].content.decode()
