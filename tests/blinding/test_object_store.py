"""From an object store, too, nothing but the pixels tells the arms of a volunteer apart.

Every request that the site sends to the store takes time: were they more or others for one arm than
for another, or for a series that nobody has asked for yet, a reader could tell by the clock.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.httpsession import URLLib3Session
from django.core.files.storage import default_storage
from django.test import Client

from readerstudy.imaging import selectors, volumes
from readerstudy.imaging.housekeeping import tidy
from readerstudy.imaging.models import Series
from readerstudy.studies.models import Study
from tests.object_store import as_storage, object_store
from tests.reading.imaged_study import (
    COLUMNS,
    ROWS,
    SLICES,
    make_reading_study,
    read_to_the_end,
    reader_of,
    session_of,
)

from .test_arms_alike import HEADERS, items_of, panes

pytestmark = pytest.mark.django_db
Asked = list[tuple[str, str, str]]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with object_store() as (address, _):
        yield address


@pytest.fixture
def study(address: str, settings: Any) -> Study:
    """All read, and going back allowed; every image lies in the store."""
    settings.STORAGES = {**settings.STORAGES, "default": as_storage(address, "images")}
    default_storage.connection.create_bucket(Bucket="images")  # type: ignore[attr-defined]
    study = make_reading_study(volunteers=2, readers=1, side_policy="balanced")
    read_to_the_end(session_of(study))
    return study


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What goes over the wire to the store: method, object, range."""
    sent: Asked = []
    send = URLLib3Session.send

    def noted(self: URLLib3Session, request: Any) -> Any:
        part = request.headers.get("Range", b"")
        part = part.decode() if isinstance(part, bytes) else part
        sent.append((request.method, urlsplit(request.url).path, part))
        return send(self, request)

    monkeypatch.setattr(URLLib3Session, "send", noted)
    return sent


def test_every_arm_is_had_from_the_store_by_the_same_requests(study: Study, asked: Asked) -> None:
    client = Client()
    client.force_login(reader_of(session_of(study)))
    slices_of_each_arm(study, client, asked)
    data_of_each_item(study, client, asked)
    maps_of_each_arm(study, client, asked)


def slices_of_each_arm(study: Study, client: Client, asked: Asked) -> None:
    """One request a slice, the same part of another object: the first time and the second."""
    size = ROWS * COLUMNS * 4
    shown = {
        series.prefix: selectors.shown_values(series, selectors.load_volume(series))
        for series in Series.objects.filter(volunteer__study=study)
    }
    # Nobody has asked for any series yet; then all have been asked for.
    for indices in ((0, SLICES - 1), (1,)):
        for item, token, arm in panes(study):
            series = Series.objects.get(volunteer=item.volunteer, arm__code=arm)
            for index in indices:
                asked.clear()
                answer = client.get(f"/reading/pixels/{token}/{index}")
                assert dict(answer.headers.items()) == HEADERS
                start = 128 + index * size
                part = f"bytes={start}-{start + size - 1}"
                assert asked == [("GET", f"/images/{series.prefix}/volume.npy", part)]
                assert answer.content == shown[series.prefix][index].tobytes()


def data_of_each_item(study: Study, client: Client, asked: Asked) -> None:
    """An item's data need nothing of the images: none is warm in the store for having been asked
    for by every item of its volunteer."""
    asked.clear()
    for item in items_of(study):
        content = client.get(f"/reading/item/{item.token}/data/").json()
        assert len(content["presets"]) > 1
    assert asked == []
    before_presets_were_kept(study, client, asked)


def before_presets_were_kept(study: Study, client: Client, asked: Asked) -> None:
    """Of images stored by an earlier version they are read from the control, whichever arm is the
    candidate, until a worker has kept them."""
    items = [client.get(f"/reading/item/{item.token}/data/").json() for item in items_of(study)]
    for volunteer in study.volunteers.all():
        volunteer.display.pop("presets")
        volunteer.save()
    selectors._presets_of.cache_clear()
    volumes._fetched.cache_clear()
    controls = Series.objects.filter(volunteer__study=study, arm__is_control=True)
    wanted = {f"/images/{series.prefix}/volume.npy" for series in controls}

    def presets() -> list[object]:
        return [
            client.get(f"/reading/item/{item.token}/data/").json()["presets"]
            for item in items_of(study)
        ]

    asked.clear()
    assert presets() == [item["presets"] for item in items]
    assert {path for _, path, _ in asked} == wanted
    assert tidy() > 0
    selectors._presets_of.cache_clear()
    volumes._fetched.cache_clear()
    asked.clear()
    assert presets() == [item["presets"] for item in items]
    assert asked == []


def maps_of_each_arm(study: Study, client: Client, asked: Asked) -> None:
    """Warning maps that are alike over all arms are also fetched alike."""
    Study.objects.filter(pk=study.pk).update(warning_maps=Study.WarningMaps.ALIKE)
    of_volunteer: dict[str, set[tuple[tuple[str, str, str], ...]]] = defaultdict(set)
    for item, token, _ in panes(study):
        asked.clear()
        assert client.get(f"/reading/flags/{token}/0").status_code == 200
        of_volunteer[item.volunteer.code].add(tuple(asked))
    assert {code: len(requests) for code, requests in of_volunteer.items()} == {"V01": 1, "V02": 1}
    assert all(requests.pop() for requests in of_volunteer.values())
