"""The order as stored at launch: complete, per reader, re-derivable."""

from __future__ import annotations

from collections import Counter
from io import StringIO
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command

from readerstudy.audit.models import Event
from readerstudy.imaging.models import Series
from readerstudy.reading.errors import ReadingError
from readerstudy.reading.models import Item, Randomisation, Session
from readerstudy.reading.ordering import check_randomisation, do_store_randomisation, draw_order
from readerstudy.studies.models import Study
from tests.factories import make_coordinator, make_study
from tests.reading.imaged_study import (
    first_item,
    make_imaged_study,
    session_of,
    start_reading,
    tokens_of,
)

pytestmark = pytest.mark.django_db


def order_of(session: Session) -> list[tuple[str, str]]:
    return list(session.items.values_list("volunteer__code", "arm__code"))


def test_every_reader_gets_every_arm_of_every_volunteer_in_an_order_of_their_own() -> None:
    study = start_reading(make_imaged_study(volunteers=3, readers=3))
    orders = [order_of(session_of(study, code)) for code in ("R1", "R2", "R3")]
    cells = [(v, a) for v in ("V01", "V02", "V03") for a in ("STD", "DF", "DLR_DF", "TF", "DLR_TF")]
    for order in orders:
        assert Counter(order) == Counter(cells)
    assert len({tuple(order) for order in orders}) == 3


def test_tokens_are_all_different_and_do_not_follow_from_the_seed() -> None:
    study = start_reading(make_imaged_study(volunteers=2))
    tokens = [token for item in Item.objects.all() for token in tokens_of(item)] + list(
        Session.objects.values_list("token", flat=True)
    )
    assert len(set(tokens)) == len(tokens) == 2 * (10 * 3 + 1)
    assert all(len(token) >= 22 for token in tokens)
    before = order_of(session_of(study))
    Item.objects.all().delete()
    Session.objects.all().delete()
    Randomisation.objects.all().delete()
    do_store_randomisation(study, None, draw_order(study, "tests"))
    assert order_of(session_of(study)) == before
    assert not set(tokens) & set(Item.objects.values_list("token", flat=True))


def test_the_stored_row_holds_seed_algorithm_constraints_and_permutation() -> None:
    study = start_reading(make_imaged_study(volunteers=2, repeat_percent=20))
    stored = Randomisation.objects.get(study=study)
    assert stored.seed == "tests"
    assert stored.constraints["minimum_gap"] == 1
    assert stored.constraints["volunteers"] == ["V01", "V02"]
    rows = stored.permutation["R2"]["1"]
    assert len(rows) == 12
    assert [row[1] for row in rows] == [arm for _, arm in order_of(session_of(study, "R2"))]
    assert sum(row[3] == "repeat" for row in rows) == 2


def test_the_trail_says_that_the_order_was_stored_but_not_the_seed() -> None:
    start_reading(make_imaged_study(volunteers=2), seed="sesame-seed")
    event = Event.objects.get(action="reading.randomisation.stored")
    assert event.new["items_a_reader"] == 10
    assert "sesame" not in str(event.new)


def test_without_a_seed_one_is_drawn() -> None:
    study = make_imaged_study(volunteers=2)
    assert len(do_store_randomisation(study, None, draw_order(study)).seed) == 32


def test_rederive_order_agrees_with_the_stored_rows() -> None:
    start_reading(make_imaged_study(volunteers=2))
    out = StringIO()
    call_command("rederive_order", "lumbar", stdout=out)
    assert "2 sessions is the one that its seed gives" in out.getvalue()


def test_rederive_order_names_an_item_that_was_changed_behind_the_platforms_back() -> None:
    study = start_reading(make_imaged_study(volunteers=2))
    item = first_item(session_of(study, "R2"))
    other = study.arms.exclude(pk=item.arm_id).first()
    assert other is not None
    Item.objects.filter(pk=item.pk).update(arm=other)
    errors = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("rederive_order", "lumbar", stderr=errors)
    assert ended.value.code == 1
    assert f"reader R2, occasion 1, item 1: stored {item.volunteer.code} {other.code}" in (
        errors.getvalue()
    )


def test_rederive_order_names_a_changed_seed_and_a_missing_item() -> None:
    study = start_reading(make_imaged_study(volunteers=2))
    Randomisation.objects.update(seed="another")
    session_of(study).items.get(position=10).delete()
    errors = StringIO()
    with pytest.raises(SystemExit):
        call_command("rederive_order", "lumbar", stderr=errors)
    assert "not the one that the seed gives" in errors.getvalue()
    assert "9 items are stored, 10 follow from the seed" in errors.getvalue()


def test_rederive_order_of_a_study_without_an_order_is_refused() -> None:
    make_study()
    with pytest.raises(CommandError, match=r"no stored reading order yet.*is launched"):
        call_command("rederive_order", "lumbar")
    with pytest.raises(CommandError, match=r"There is no study “lumber”\..*lumbar \(“Lumbar DLR"):
        call_command("rederive_order", "lumber")


def test_a_command_takes_a_study_by_its_title_too_unless_two_have_it(capsys: Any) -> None:
    study = start_reading(make_imaged_study(volunteers=2))
    call_command("rederive_order", study.title)
    assert capsys.readouterr().out.startswith(f"{study.slug}: the stored order")
    Study.objects.create(slug="other", title=study.title)
    with pytest.raises(CommandError, match="More than one study is called"):
        call_command("rederive_order", study.title)
    call_command("rederive_order", study.slug)


def test_an_order_is_stored_once() -> None:
    study = start_reading(make_imaged_study(volunteers=2))
    with pytest.raises(ReadingError, match="stored already"):
        do_store_randomisation(study, None, draw_order(study))


def test_an_order_drawn_for_another_study_than_there_is_now_is_not_stored() -> None:
    study = make_imaged_study(volunteers=2)
    drawn = draw_order(study, "tests")
    Study.objects.filter(pk=study.pk).update(repeat_percent=50)
    with pytest.raises(ReadingError, match="changed while its reading order was drawn"):
        do_store_randomisation(study, None, drawn)
    assert not Randomisation.objects.exists()


def test_everything_that_stands_in_the_way_is_named() -> None:
    study = make_imaged_study(volunteers=1, readers=0)
    Series.objects.filter(arm__code="DF").delete()
    with pytest.raises(ReadingError) as refused:
        check_randomisation(study)
    assert refused.value.messages == (
        "The study has no readers yet.",
        "A minimum gap of 1 needs at least 2 volunteers, but the study has 1 volunteer. "
        "Add volunteers or lower the minimum gap.",
        "V01: no images of double-fast.",
    )
    assert not Randomisation.objects.exists()


def test_only_a_coordinator_stores_the_order() -> None:
    study = make_imaged_study(volunteers=2)
    reader = study.memberships.filter(role="reader").first()
    assert reader is not None
    with pytest.raises(PermissionDenied):
        do_store_randomisation(study, reader.user, draw_order(study))
    assert do_store_randomisation(study, make_coordinator(study), draw_order(study)).study == study
