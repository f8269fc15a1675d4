"""A reader visits every address of the site and learns nothing that tells the arms apart."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.test import Client

from readerstudy.conduct.locking import do_lock
from readerstudy.imaging.models import Series, Upload
from readerstudy.jobs.models import Job
from readerstudy.reading.models import Item, Session
from readerstudy.reports.export_models import Export
from readerstudy.studies.models import Membership, Study
from readerstudy.studies.services import draw_arm_letters
from readerstudy.variants.models import RawData
from tests.factories import make_coordinator
from tests.reading.exchange import CONTRAST, DISPLAY, VISIT
from tests.reading.imaged_study import (
    first_item,
    make_imaged_study,
    pane_of,
    read_to_the_end,
    reader_of,
    score_item,
    session_of,
    start_reading,
    tokens_of,
)
from tests.reports.published import unblind

from .addresses import CLOSED, CLOSED_NAMESPACES, FOR_READERS, Address, every_address, filled
from .leaks import Leaks

pytestmark = pytest.mark.django_db

REFUSED = {403, 404, 405}
METHODS = ("get", "head", "post", "put", "delete", "options")
STATES = [
    "before the launch",
    "at the first case",
    "in the middle",
    "all read",
    "locked",
    "unblinded",
]


@pytest.fixture(params=STATES)
def study(request: pytest.FixtureRequest) -> Study:
    study = make_imaged_study(volunteers=2, readers=2)
    make_coordinator(study)
    series = Series.objects.filter(arm__code="DF").first()
    assert series is not None
    Upload.objects.create(
        study=study, name="V01_double_fast.zip", volunteer_code="V01", arm=series.arm, size=10
    )
    Job.objects.create(kind="variants.derive", study_id=study.pk, label="V01 DLR_DF")
    # What a derived series says of itself.
    Series.objects.filter(arm__code="DLR_DF").update(
        provenance={"model": "ddlr-lumbar", "weights_sha256": "ab12" * 16}
    )
    if request.param == "before the launch":
        return study
    RawData.objects.create(
        volunteer=series.volunteer,
        arm=series.arm,
        prefix="raw/of/nobody",
        sha256="cd34" * 16,
        study_uid="2.25.1",
        frame_uid="2.25.2",
        description={"coils": 16, "acceleration": 4.0},
    )
    start_reading(study)
    if request.param == "in the middle":
        for _ in range(4):
            score_item(first_item(session_of(study)))
    if request.param in {"all read", "locked", "unblinded"}:
        read_to_the_end(session_of(study))
    if request.param in {"locked", "unblinded"}:
        Study.objects.filter(pk=study.pk).update(arm_letters=draw_arm_letters(study))
        do_lock(study, None, "The second reader did not begin.")
        study.refresh_from_db()
    if request.param == "unblinded":
        unblind(study, None, "All scores are in.")
        study.refresh_from_db()
    return study


def arguments(study: Study) -> dict[str, list[Any]]:
    """Valid values for every parameter of an address, guesses beside them."""
    sessions = list(Session.objects.all())
    # Earlier, open, next and later cases of the reader's own in every state, and another's first.
    items = list(
        Item.objects.filter(session__reader_code="R1", position__in=[1, 2, 4, 5, 6, 7, 10])
    ) + list(Item.objects.filter(session__reader_code="R2", position=1))
    tokens = [session.token for session in sessions]
    tokens += [t for i in items for t in tokens_of(i)]
    series = Series.objects.filter(arm__code="DF").first()
    upload, job = Upload.objects.get(), Job.objects.filter(kind="variants.derive").first()
    derived = Series.objects.filter(arm__code="DLR_DF").first()
    assert series is not None
    assert derived is not None
    assert job is not None
    return {
        "slug": [study.slug],
        "token": [*tokens, "guessed-token-of-22-ch"],
        "index": [0, 2, 3],
        "code": ["V01"],
        "volunteer_code": ["V01"],
        "arm": ["DF"],
        "arm_code": ["DLR_DF"],
        "series_id": [series.pk, derived.pk],
        "raw_id": [*RawData.objects.values_list("pk", flat=True), uuid.uuid4()],
        "picture": ["output", "removed"],
        "what": ["freeze"],
        "part": ["figures"],
        "upload_id": [upload.pk],
        "job_id": [job.pk, uuid.uuid4()],
        "site_id": [1],
        "membership_id": list(Membership.objects.values_list("pk", flat=True)),
        "name": ["scores", "scores_snr", "ratings_long.csv"],
        "image_format": ["svg", "png"],
        "export": [Export.objects.get_or_create(study=study)[0].pk, uuid.uuid4()],
        "number": [1],
        "pk": [1],
        "provider_id": ["hospital"],
        "key": ["MQ:guess", "set-password"],
        "uidb36": ["1"],
        # The administration site.
        "object_id": ["1"],
        "content_type_id": ["1"],
        "app_label": ["reading", "imaging"],
        "url": ["reading/item/"],
    }


def test_every_address_is_sorted() -> None:
    """Whoever adds an address decides here what a reader finds there."""
    found = {a.name for a in every_address() if a.namespace not in CLOSED_NAMESPACES}
    assert found == FOR_READERS | CLOSED


def test_a_reader_finds_no_leak_at_any_address_by_any_method(
    study: Study, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL", logger="django.request")  # thousands of refusals
    reader = Membership.objects.get(study=study, reader_code="R1").user
    leaks = Leaks(study, reader)
    assert {"DLR_DF", "double-fast", "V02", "ddlr", "ddlr-lumbar"} <= set(leaks.words)
    values = arguments(study)
    client = Client(raise_request_exception=False)
    client.force_login(reader)
    visited: set[str] = set()
    for address in every_address():
        for number, path in enumerate(filled(address, values)):
            for method in METHODS if number == 0 else ("get",):
                answer = _ask(client, method, path)
                where = f"{method.upper()} {address.route} ({answer.status_code})"
                assert answer.status_code < 500, where
                is_pixels = answer.headers.get("Content-Type") == "application/octet-stream"
                found = leaks.in_answer(answer, is_pixels=is_pixels)
                assert not found, f"{where}: {found}"
                _check_closed(address, method, answer, where)
                if answer.status_code == 200:
                    visited.add(address.name)
                if "sessionid" in answer.cookies:  # signed out, or in anew
                    client.force_login(reader)
    _act(client, study, leaks)
    if study.state == Study.State.READING:
        assert {"home", "reading_home", "account_change_password", "mfa_index"} <= visited
        if session_of(study).completed_at is None:
            assert {"reading_item", "reading_item_data", "reading_pixels"} <= visited


def _act(client: Client, study: Study, leaks: Leaks) -> None:
    """Whatever a reading page sends, well made and not, for items of every reach and of others."""
    well_made: dict[str, dict[str, Any]] = {
        "open": {},
        "scores": {"criterion": "perceived_snr", "value": 3, "revision": 0},
        "comment": {"revision": 0, "text": "Motion in the last slices."},
        "marks": {"revision": 0, "marks": []},
        "visit": VISIT,
        "submit": {"shown": [1, 2]},
        "display": {**DISPLAY, "contrast": CONTRAST},
        "pause": {},
    }
    faulty = {"scores": {"criterion": "none", "value": 9, "revision": -1}, "marks": {"marks": 7}}
    values = arguments(study)["token"]
    for token in values:
        for what, content in [*well_made.items(), *faulty.items()]:
            of = "session" if what in {"display", "pause"} else "item"
            path, sent = f"/reading/{of}/{token}/{what}/", {"id": str(uuid.uuid4()), **content}
            answer = client.post(path, sent, content_type="application/json")
            where = f"POST {what} ({answer.status_code})"
            assert answer.status_code < 500, where
            assert not leaks.in_answer(answer), where
    for path, sent in (
        ("/reading/signin/", {"item": values[-1], "password": "a guess"}),
        ("/reading/faults/", {"item": None, "kind": "script", "name": "E", "where": "/a.js:1:2"}),
    ):
        answer = client.post(path, sent, content_type="application/json")
        assert answer.status_code < 500, path
        assert not leaks.in_answer(answer), path


def _ask(client: Client, method: str, path: str) -> Any:
    # Without this header the upload addresses answer 412 before they ask who is there.
    tus = {"Tus-Resumable": "1.0.0", "Upload-Length": "10", "Upload-Offset": "0"}
    if method in {"get", "head", "options"}:
        return getattr(client, method)(path, headers=tus)
    return getattr(client, method)(path, "{}", content_type="application/json", headers=tus)


def _check_closed(address: Address, method: str, answer: Any, where: str) -> None:
    if address.namespace in CLOSED_NAMESPACES:
        to_sign_in = answer.status_code in {301, 302} and (
            "/login/" in answer.headers["Location"] or address.name in {"logout", "login"}
        )
        bare = address.name in {"login", "logout", "jsi18n"} or method == "options"
        assert to_sign_in or bare or answer.status_code in REFUSED | {301, 302}, where
    elif address.name in CLOSED:
        assert answer.status_code in REFUSED, where


def test_the_detector_finds_what_it_looks_for() -> None:
    """Guards the guard: a leak of any kind in text is seen; innocent text is not."""
    study = make_imaged_study(volunteers=1, readers=1)
    reader = Membership.objects.get(study=study, reader_code="R1").user
    leaks = Leaks(study, reader)
    series = Series.objects.first()
    assert series is not None
    for text in (
        "X-Arm: dlr_df",
        '{"arm": "DF"}',
        "/pixels/V01/0",
        "filename=v01.raw",
        "Double-Fast",
        str(series.pk),
        "2.25.329800735698586629295641978511506172918",
        "1.2.840.10008.5.1.4.1.1.4",
        "Zebrafish",
        "model=ddlr",
    ):
        assert leaks.in_text(text), text
    for text in ("Item 3 of 10", "control", "candidate", "1.2", "/reading/pixels/abDFcd/0"):
        assert not leaks.in_text(text), text


def test_signed_out_nothing_is_found_either() -> None:
    study = start_reading(make_imaged_study(volunteers=2, readers=1))
    session = session_of(study)
    leaks = Leaks(study, reader_of(session))
    item = first_item(session)
    Upload.objects.create(study=study, name="a.zip", size=1)
    Job.objects.create(kind="variants.derive", study_id=study.pk)
    client = Client(raise_request_exception=False)
    for path in (
        f"/reading/item/{item.token}/",
        f"/reading/item/{item.token}/data/",
        f"/reading/pixels/{pane_of(item, 'candidate').token}/0",
        "/reading/",
        f"/studies/{study.slug}/",
    ):
        answer = client.get(path)
        # What a page fetches by itself is told in JSON; a page leads to the sign-in page.
        own_request = "/data/" in path or "/pixels/" in path
        assert answer.status_code == (401 if own_request else 302)
        assert not leaks.in_answer(answer)
