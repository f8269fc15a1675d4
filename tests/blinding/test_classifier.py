"""A classifier that sees all of an image answer but its pixels cannot tell the arms.

Times are left to `benchmarks/blinding.py`, which asks a real server; here the number of database
statements stands for the work.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from readerstudy.reading.models import Session
from tests.reading import imaged_study

from .classifier import AT_CHANCE, SEES, Answer, arm_auc

pytestmark = pytest.mark.django_db

VOLUNTEERS = 10
SLICES, ROWS, COLUMNS = 10, 128, 96
COMPRESSION = "tests.blinding.compression.CompressingMiddleware"


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    """All read, and going back allowed: every image of the reader is open to view."""
    for name, size in (("SLICES", SLICES), ("ROWS", ROWS), ("COLUMNS", COLUMNS)):
        monkeypatch.setattr(imaged_study, name, size)
    study = imaged_study.make_reading_study(volunteers=VOLUNTEERS, readers=1, may_go_back=True)
    session = imaged_study.session_of(study)
    imaged_study.read_to_the_end(session)
    return session


def image_answers(session: Session) -> list[Answer]:
    """Every slice of every candidate, to a browser that would take compressed answers."""
    client = Client(headers={"Accept-Encoding": "gzip, deflate, br, zstd"})
    client.force_login(imaged_study.reader_of(session))
    answers = []
    for item in session.items.select_related("volunteer", "arm"):
        token = imaged_study.pane_of(item, "candidate").token
        for index in range(SLICES):
            with CaptureQueriesContext(connection) as captured:
                answer = client.get(f"/reading/pixels/{token}/{index}")
            answers.append(
                Answer(
                    arm=item.arm.code,
                    volunteer=item.volunteer.code,
                    status=answer.status_code,
                    length=len(answer.content),
                    headers=list(answer.headers.items()),
                    measured={"statements": len(captured)},
                )
            )
    return answers


def test_gradient_boosting_cannot_tell_the_arms_but_sees_compression(
    session: Session, settings: Any
) -> None:
    answers = image_answers(session)
    assert len(answers) == 500
    assert {answer.status for answer in answers} == {200}
    low, high = AT_CHANCE
    assert low <= arm_auc(answers) <= high
    # The control run: were answers compressed, the same classifier would tell the arms.
    settings.MIDDLEWARE = [COMPRESSION, *settings.MIDDLEWARE]
    assert arm_auc(image_answers(session)) > SEES
