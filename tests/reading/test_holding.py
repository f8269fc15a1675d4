"""What an act of a reader holds, and in which order: two windows never wait for each other."""

from __future__ import annotations

from unittest.mock import patch

import pytest

from readerstudy.reading import services
from readerstudy.reading.holding import hold_session
from readerstudy.reading.models import Item, Session
from readerstudy.reading.services import do_open_item
from tests.reading.imaged_study import first_item, make_reading_study, reader_of, session_of

pytestmark = pytest.mark.django_db


def test_the_first_item_is_opened_with_its_session_held_first() -> None:
    session = session_of(make_reading_study(volunteers=2))
    held: list[str] = []
    select = Item.objects.select_for_update

    def note_session(of: Session) -> None:
        held.append("session")
        hold_session(of)

    def note_item(**options: object) -> object:
        held.append("item")
        return select(**options)

    with (
        patch.object(services, "hold_session", note_session),
        patch.object(Item.objects, "select_for_update", note_item),
    ):
        do_open_item(first_item(session), reader_of(session))
    assert held == ["session", "item"]
