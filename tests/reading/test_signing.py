"""A reader signs the finished sheet with the password; a later change asks for a new signature."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.urls import reverse

from readerstudy.accounts.models import Signature
from readerstudy.audit.models import Event
from readerstudy.reading.errors import ReadingError
from readerstudy.reading.models import Item
from readerstudy.reading.services import do_record_score
from readerstudy.reading.signing import MEANING, do_sign_sheet, sheet_sha256, standing_signature
from tests.factories import PASSWORD
from tests.reading.imaged_study import (
    make_imaged_study,
    read_to_the_end,
    reader_of,
    session_of,
    start_reading,
)

pytestmark = pytest.mark.django_db


def test_a_finished_sheet_is_signed_once_and_anew_after_a_change(client: Client) -> None:
    study = start_reading(make_imaged_study(volunteers=2, readers=2))
    session = session_of(study)
    reader, other = reader_of(session), reader_of(session_of(study, "R2"))
    client.force_login(reader)
    address = reverse("reading_sign", args=[session.token])
    assert client.get(address).status_code == 302  # not finished
    with pytest.raises(ReadingError, match="Score all items first"):
        do_sign_sheet(session, reader, sheet_sha256(session))
    read_to_the_end(session)
    session.refresh_from_db()
    page = client.get(address)
    shown = page.context["sha256"]
    assert shown == sheet_sha256(session)
    assert client.post(address, {"sha256": shown, "password": "wrong"}).status_code == 422
    assert not Signature.objects.exists()
    for _ in range(2):  # sent twice
        answer = client.post(address, {"sha256": shown, "password": PASSWORD})
        assert answer.status_code == 302
    signature = Signature.objects.get()
    assert (signature.user, signature.name) == (reader, reader.name)
    assert (signature.meaning, signature.record_sha256) == (MEANING, shown)
    event = Event.objects.get(action="reading.session.signed")
    assert event.new["record_sha256"] == shown
    assert "Signed by" in client.get(address).content.decode()

    item = Item.objects.filter(session=session).first()
    assert item is not None
    score = item.scores.order_by("-revision").first()
    assert score is not None
    assert score.value is not None
    value = 1 + score.value % 5
    do_record_score(item, score.criterion.code, value, score.revision, reader, "Seen again")
    assert standing_signature(session) is None
    answer = client.post(address, {"sha256": shown, "password": PASSWORD})
    assert answer.status_code == 409
    assert "changed after this page was opened" in answer.content.decode()
    answer = client.post(address, {"sha256": sheet_sha256(session), "password": PASSWORD})
    assert answer.status_code == 302
    assert Signature.objects.count() == 2

    stranger = Client()
    stranger.force_login(other)
    assert stranger.get(address).status_code == 404
    with pytest.raises(DatabaseError), transaction.atomic():
        Signature.objects.update(name="Somebody else")
    assert connection.is_usable()
