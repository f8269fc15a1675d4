"""Nothing but the pixels tells the arms of a volunteer apart."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from readerstudy.imaging.models import Series
from readerstudy.imaging.selectors import display_slice
from readerstudy.reading.models import Item, new_token
from readerstudy.studies.models import Study
from readerstudy.web.middleware import CONTENT_SECURITY_POLICY, PERMISSIONS_POLICY
from tests.reading.imaged_study import (
    COLUMNS,
    ROWS,
    SLICES,
    make_reading_study,
    pane_of,
    read_to_the_end,
    reader_of,
    session_of,
    tokens_of,
)

pytestmark = pytest.mark.django_db
# Of every slice, whatever the arm and wherever the images lie.
HEADERS = {
    "Content-Type": "application/octet-stream",
    "Content-Length": str(ROWS * COLUMNS * 2),
    "Cache-Control": "private, max-age=31536000, immutable",
    "Vary": "Cookie",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Permissions-Policy": PERMISSIONS_POLICY,
}


@pytest.fixture
def study() -> Study:
    """All read, and going back allowed: every item of the reader is open to view."""
    study = make_reading_study(volunteers=2, side_policy="balanced")
    read_to_the_end(session_of(study))
    return study


@pytest.fixture
def client(study: Study) -> Client:
    client = Client()
    client.force_login(reader_of(session_of(study)))
    return client


def items_of(study: Study, code: str = "R1") -> list[Item]:
    return list(session_of(study, code).items.select_related("volunteer", "arm"))


def panes(study: Study) -> list[tuple[Item, str, str]]:
    """(item, token, arm) of every pane of the first reader."""
    return [
        pane
        for item in items_of(study)
        for pane in (
            (item, pane_of(item, "control").token, "STD"),
            (item, pane_of(item, "candidate").token, item.arm.code),
        )
    ]


def test_every_slice_of_every_arm_has_the_same_length_and_the_same_headers(
    study: Study, client: Client
) -> None:
    headers: set[tuple[tuple[str, str], ...]] = set()
    lengths: set[int] = set()
    for _, token, _ in panes(study):
        for index in range(SLICES):
            answer = client.get(
                f"/reading/pixels/{token}/{index}", headers={"Accept-Encoding": "gzip, br"}
            )
            headers.add(tuple(answer.headers.items()))
            lengths.add(len(answer.content))
            assert not answer.cookies
    assert lengths == {ROWS * COLUMNS * 2}
    assert len(headers) == 1
    assert dict(headers.pop()) == HEADERS


def test_the_body_is_the_pixels_and_nothing_else(study: Study, client: Client) -> None:
    for item, token, arm in panes(study):
        series = Series.objects.get(volunteer=item.volunteer, arm__code=arm)
        for index in range(SLICES):
            sent = client.get(f"/reading/pixels/{token}/{index}").content
            assert sent == display_slice(series, index)


def test_the_data_of_an_item_are_the_same_for_every_arm_of_a_volunteer(
    study: Study, client: Client
) -> None:
    """All but tokens, place in the session, sides (balanced) and the reader's own scores."""
    seen: dict[str, set[str]] = defaultdict(set)
    arms: dict[str, set[str]] = defaultdict(set)
    for item in items_of(study):
        answer = client.get(f"/reading/item/{item.token}/data/")
        data: dict[str, Any] = answer.json()
        own = [name for name in data if name.endswith(("_url", "_data"))]
        for name in (*own, "token", "position", "previous", "next", "ahead", "server_time"):
            data.pop(name)
        for pane in data["panes"]:
            for name in ("slices", "side", "number"):
                pane.pop(name)
        data["panes"].sort(key=lambda pane: pane["role"])
        for criterion in data["criteria"]:
            criterion.pop("value")
        seen[item.volunteer.code].add(json.dumps(data))
        arms[item.volunteer.code].add(item.arm.code)
    assert {code: len(variants) for code, variants in seen.items()} == {"V01": 1, "V02": 1}
    assert all(len(of_volunteer) == 5 for of_volunteer in arms.values())


def test_the_page_of_an_item_is_the_same_for_every_arm(study: Study, client: Client) -> None:
    pages: set[str] = set()
    for item in items_of(study):
        page = client.get(f"/reading/item/{item.token}/").content.decode()
        assert item.token in page
        page = page.replace(item.token, "TOKEN")
        page = re.sub(r'(name="csrf-token" content|csrfmiddlewaretoken" value)="\w+"', "", page)
        pages.add(page)
    assert len(pages) == 1


def test_the_server_does_the_same_work_for_every_arm(study: Study, client: Client) -> None:
    """The same queries in the same order; only the values in them differ."""
    candidate_work: set[tuple[str, ...]] = set()
    counts: set[int] = set()
    client.get("/reading/")  # once in a while an answer also notes that the person is there
    for item, token, _ in panes(study):
        with CaptureQueriesContext(connection) as captured:
            assert client.get(f"/reading/pixels/{token}/1").status_code == 200
        statements = tuple(
            re.sub(r"'[^']*'|\b\d+\b", "?", query["sql"]) for query in captured.captured_queries
        )
        counts.add(len(statements))
        if token == pane_of(item, "candidate").token:
            candidate_work.add(statements)
    assert len(candidate_work) == 1
    assert len(counts) == 1


def test_the_control_as_candidate_has_a_token_of_its_own(study: Study) -> None:
    for item in items_of(study):
        assert pane_of(item, "control").token != pane_of(item, "candidate").token
    shown = [
        pane_of(item, "control").token for item in items_of(study) if item.volunteer.code == "V01"
    ]
    assert len(set(shown)) == 5  # the one control, under another token in every item


def test_readers_share_no_token(study: Study) -> None:
    tokens = [
        {token for i in items_of(study, code) for token in tokens_of(i)} for code in ("R1", "R2")
    ]
    assert not tokens[0] & tokens[1]
    assert len(tokens[0]) == len(tokens[1]) == 30


def test_a_guess_another_readers_token_and_a_later_case_are_the_same_404(study: Study) -> None:
    client = Client()
    other = session_of(study, "R2")
    client.force_login(reader_of(other))
    later = other.items.get(position=5)
    mine_of_r1 = items_of(study)[0]
    answers = [
        client.get(f"/reading/pixels/{token}/0")
        for token in (
            new_token(),
            pane_of(mine_of_r1, "candidate").token,
            pane_of(mine_of_r1, "control").token,
            pane_of(later, "candidate").token,
            later.token,
        )
    ]
    assert {answer.status_code for answer in answers} == {404}
    bodies = {
        re.sub(r'(content|value)="\w{64}"', "", answer.content.decode()) for answer in answers
    }
    assert len(bodies) == 1
    for name in ("item", "session"):
        for token in (new_token(), mine_of_r1.token, session_of(study).token):
            assert client.get(f"/reading/{name}/{token}/").status_code == 404
