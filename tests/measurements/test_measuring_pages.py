"""The measuring pages: the JSON contract, who may open them, and that readers may not."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from readerstudy.accounts.models import User
from readerstudy.imaging.models import Series, Volunteer
from readerstudy.imaging.selectors import display_slice
from readerstudy.measurements.models import Region
from readerstudy.studies.models import Role, Study
from readerstudy.studies.services import do_add_member
from tests.factories import (
    make_administrator,
    make_coordinator,
    make_reader,
    make_statistician,
    make_user,
)
from tests.reading.imaged_study import make_imaged_study

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage_apart")]

BASE = "/studies/lumbar/regions/"
ADDRESSES = [BASE, f"{BASE}V01/", f"{BASE}V01/data/", f"{BASE}V01/STD/0", f"{BASE}V01/DF/2"]


@pytest.fixture
def study() -> Study:
    return make_imaged_study(volunteers=2)


@pytest.fixture
def client(study: Study) -> Client:
    return signed_in(make_coordinator(study))


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def save(client: Client, data: dict[str, Any], **changes: Any) -> Any:
    geometry = data["geometry"]
    centre = [
        geometry["origin"][axis]
        + 11 * geometry["column_spacing"] * geometry["row_direction"][axis]
        + 16 * geometry["row_spacing"] * geometry["column_direction"][axis]
        for axis in range(3)
    ]
    content = {
        "tissue": "vertebra",
        "slice_index": 0,
        "centre": centre,
        "semi_axes_mm": [5.0, 1.9099],
        "angle_deg": -20,
        "revision": 0,
    } | changes
    return client.post(data["save_url"], content, content_type="application/json")


def test_the_index_shows_what_is_placed(client: Client) -> None:
    save(client, client.get(f"{BASE}V01/data/").json())
    page = client.get(BASE).content.decode()
    assert "1 of 14 regions are placed" in page
    assert f'href="{BASE}V01/"' in page
    assert page.count(">Placed</td>") == 1


def test_a_volunteer_without_a_control_has_no_measuring_page(client: Client, study: Study) -> None:
    Volunteer.objects.create(study=study, code="V09")
    assert "No images of the control yet" in client.get(BASE).content.decode()
    assert client.get(f"{BASE}V09/data/").status_code == 404


def test_data_holds_the_contract(client: Client) -> None:
    data = client.get(f"{BASE}V01/data/").json()
    assert set(data) == {
        "volunteer", "notice", "geometry", "window", "arms", "tissues", "regions", "save_url",
        "suggest_url", "observer", "shows_figures", "frozen", "unblinded", "locked", "volunteers",
    }  # fmt: skip
    assert data["arms"][0] == {
        "code": "STD",
        "name": "standard",
        "is_control": True,
        "slices": f"{BASE}V01/STD/{{index}}",
    }
    assert len(data["arms"]) == 1, "the control alone until the figures are open"
    assert data["tissues"][0] == {
        "code": "fat",
        "name": "Fat",
        "colour": "#e69f00",
        "area_mm2": 30.0,
        "rule": "Central slice",
        "suggested_slice": 1,
    }
    assert data["volunteers"][1] == {
        "code": "V02",
        "url": f"{BASE}V02/",
        "placed": 0,
        "total": 7,
    }
    assert (data["locked"], data["regions"]) == (False, [])


def test_a_region_is_saved_measured_and_read_back(client: Client) -> None:
    data = client.get(f"{BASE}V01/data/").json()
    answer = save(client, data)
    assert answer.status_code == 200
    region = answer.json()
    assert region["revision"] == 1
    assert region["measurements"] == []
    assert client.get(f"{BASE}V01/data/").json()["regions"] == [region]
    stale = save(client, data, angle_deg=10)
    assert stale.status_code == 409
    assert stale.json()["revision"] == 1
    assert save(client, data, angle_deg=10, revision=1).json()["revision"] == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"tissue": "shoe"},
        {"revision": None},
        {"slice_index": 99},
        {"centre": [0, 0]},
        {"centre": None},
        {"semi_axes_mm": [500, 500]},
        {"angle_deg": "steep"},
    ],
)
def test_a_wrong_region_is_refused_with_a_reason(client: Client, changes: dict[str, Any]) -> None:
    answer = save(client, client.get(f"{BASE}V01/data/").json(), **changes)
    assert answer.status_code == 422
    assert answer.json()["error"]
    assert not Region.objects.exists()


def test_pixels_come_in_the_display_convention(client: Client) -> None:
    series = Series.objects.get(volunteer__code="V01", arm__code="DF")
    answer = client.get(f"{BASE}V01/DF/2")
    assert answer.content == display_slice(series, 2)
    for missing in (f"{BASE}V01/DF/3", f"{BASE}V01/XX/0", f"{BASE}V77/DF/0"):
        assert client.get(missing).status_code == 404


def test_coordinators_and_administrators_open_the_pages(study: Study) -> None:
    for user in (make_coordinator(study), make_administrator()):
        client = signed_in(user)
        for address in ADDRESSES:
            assert client.get(address).status_code == 200, address


def test_for_readers_statisticians_and_strangers_the_pages_do_not_exist(study: Study) -> None:
    for user in (make_reader(study), make_statistician(study), make_user()):
        client = signed_in(user)
        for address in ADDRESSES:
            assert client.get(address).status_code == 404, address
        assert client.post(f"{BASE}V01/save/").status_code == 404


def test_a_coordinator_or_administrator_who_reads_is_kept_out_until_the_lock(study: Study) -> None:
    for user in (make_coordinator(study), make_administrator()):
        do_add_member(study, None, user, Role.READER)
        client = signed_in(user)
        for address in ADDRESSES:
            assert client.get(address).status_code == 403, address
        assert client.post(f"{BASE}V01/save/").status_code == 403
        assert "You read in this study" in client.get(BASE).content.decode()
        Study.objects.update(state=Study.State.LOCKED)
        for address in ADDRESSES:
            assert client.get(address).status_code == 200, address
        Study.objects.update(state=Study.State.DRAFT)


def test_a_locked_study_shows_its_regions_and_saves_none(client: Client, study: Study) -> None:
    data = client.get(f"{BASE}V01/data/").json()
    save(client, data)
    Study.objects.update(state=Study.State.LOCKED)
    data_locked = client.get(f"{BASE}V01/data/").json()
    assert (data_locked["locked"], data_locked["shows_figures"]) == (True, True)
    assert len(data_locked["arms"]) == 5
    refused = save(client, data, angle_deg=5, revision=1)
    assert refused.status_code == 422
    assert "locked" in refused.json()["error"]


def test_the_administration_site_shows_no_mean_of_an_arm_before_the_lock(
    client: Client, study: Study
) -> None:
    assert save(client, client.get(f"{BASE}V01/data/").json()).status_code == 200
    administrator = signed_in(make_administrator())
    address = "/admin/measurements/measurement/"
    counts = []
    for state in (Study.State.DRAFT, Study.State.READING, Study.State.LOCKED):
        Study.objects.filter(pk=study.pk).update(state=state)
        counts.append(administrator.get(address).context["cl"].result_count)
    assert counts == [0, 0, study.arms.count()]
