"""Warning maps in the reading room: none, or over all arms alike, unless the reading is open."""

from __future__ import annotations

import json

import numpy as np
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from readerstudy.imaging.models import Series
from readerstudy.reading.models import new_token
from readerstudy.studies.models import Study
from readerstudy.variants.evidence import write_flags
from tests.reading.imaged_study import (
    COLUMNS,
    ROWS,
    SLICES,
    make_reading_study,
    pane_of,
    read_to_the_end,
    reader_of,
    session_of,
)

pytestmark = pytest.mark.django_db

LENGTH = -(-ROWS * COLUMNS // 8)


@pytest.fixture
def study() -> Study:
    """All read, so that every item is open to view; two of the five arms have a map."""
    study = make_reading_study(volunteers=2, side_policy="balanced")
    for number, code in enumerate(("DLR_DF", "DLR_TF")):
        for series in Series.objects.filter(arm__code=code):
            flagged = np.zeros((SLICES, ROWS, COLUMNS), dtype=bool)
            flagged[:, 3 + 5 * number : 6 + 5 * number, 4:9] = True
            write_flags(series.prefix, flagged, flagged.astype(np.float32))
    read_to_the_end(session_of(study))
    return study


def client_of(study: Study) -> Client:
    client = Client()
    client.force_login(reader_of(session_of(study)))
    return client


def maps(study: Study) -> dict[tuple[str, str], list[bytes]]:
    """Of every pane of the reader, by volunteer and arm: the maps of its slices."""
    client, found = client_of(study), {}
    headers, statements = set(), set()
    for item in session_of(study).items.select_related("volunteer", "arm"):
        for role, arm in (("control", "STD"), ("candidate", item.arm.code)):
            token = pane_of(item, role).token
            content = []
            for index in range(SLICES):
                with CaptureQueriesContext(connection) as captured:
                    answer = client.get(f"/reading/flags/{token}/{index}")
                assert answer.status_code == 200
                content.append(answer.content)
                headers.add(tuple(answer.headers.items()))
                statements.add(len(captured.captured_queries))
            found[item.volunteer.code, arm] = content
    assert len(headers) == 1  # lengths among them
    assert len(statements - {max(statements)}) <= 1  # the first answer notes the reader's presence
    assert {len(one) for content in found.values() for one in content} == {LENGTH}
    return found


def test_no_map_is_shown_unless_the_protocol_says_so(study: Study) -> None:
    client = client_of(study)
    item = session_of(study).items.first()
    assert item is not None
    token = pane_of(item, "candidate").token
    assert client.get(f"/reading/flags/{token}/0").status_code == 404
    assert "flags" not in json.dumps(client.get(f"/reading/item/{item.token}/data/").json())


def test_alike_the_map_is_the_same_whichever_arm_is_shown(study: Study) -> None:
    Study.objects.update(warning_maps=Study.WarningMaps.ALIKE)
    found = maps(study)
    of_one = {arm: content for (code, arm), content in found.items() if code == "V01"}
    assert set(of_one) == {"STD", "DF", "DLR_DF", "TF", "DLR_TF"}
    assert len({tuple(content) for content in of_one.values()}) == 1
    bits = np.unpackbits(np.frombuffer(of_one["STD"][0], np.uint8))[: ROWS * COLUMNS]
    shown = bits.reshape(ROWS, COLUMNS).astype(bool)
    assert shown.sum() == 2 * 3 * 5  # of both arms together
    assert shown[4, 5]
    assert shown[9, 5]


def test_open_every_image_has_its_own_or_an_empty_one(study: Study) -> None:
    Study.objects.update(warning_maps=Study.WarningMaps.OPEN)
    found = maps(study)
    filled = {arm for (_code, arm), content in found.items() if any(map(any, content))}
    assert filled == {"DLR_DF", "DLR_TF"}
    assert found["V01", "DLR_DF"] != found["V01", "DLR_TF"]


def test_a_guess_a_later_case_and_a_slice_that_is_not_there_are_404(study: Study) -> None:
    Study.objects.update(warning_maps=Study.WarningMaps.ALIKE)
    client, item = client_of(study), session_of(study).items.first()
    assert item is not None
    own = pane_of(item, "candidate").token
    other = session_of(study, "R2").items.get(position=5)
    for path in (
        f"{new_token()}/0",
        f"{pane_of(other, 'candidate').token}/0",
        f"{item.token}/0",
        f"{own}/{SLICES}",
    ):
        assert client.get(f"/reading/flags/{path}").status_code == 404
    assert Client().get(f"/reading/flags/{own}/0").status_code == 401
