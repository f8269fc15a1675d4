"""The evidence beside a derived series: gathered by the worker, shown to those who may see it."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from django.core.files.storage import default_storage
from django.test import Client
from PIL import Image

from readerstudy.accounts.models import User
from readerstudy.imaging.models import Series, Volunteer
from readerstudy.imaging.selectors import load_volume
from readerstudy.imaging.services import do_delete_series
from readerstudy.imaging.volumes import write_file
from readerstudy.jobs.models import Job
from readerstudy.jobs.worker import run_pending
from readerstudy.studies.models import Role, Study
from readerstudy.studies.services import do_add_member
from readerstudy.variants.evidence import FLAGGED, NOISE, UNCERTAINTY, read_map
from readerstudy.variants.pictures import OUTLINE
from tests.factories import (
    make_administrator,
    make_coordinator,
    make_reader,
    make_statistician,
    make_study,
    make_user,
)

from .scans import lumbar, store

pytestmark = pytest.mark.django_db

PICTURES = ("input", "output", "removed", "uncertainty", "noise")


@pytest.fixture
def study() -> Study:
    return make_study()


@pytest.fixture
def made(study: Study) -> Series:
    """DLR-double-fast of V01, from a scan whose pixels are higher than wide."""
    volunteer = Volunteer.objects.create(study=study, code="V01")
    store(volunteer, "DF", lumbar(), spacing=(1.25, 0.625))
    assert run_pending("gpu") == 1
    job = Job.objects.get()
    assert job.state == Job.State.SUCCEEDED, job.error
    return Series.objects.get(arm__code="DLR_DF")


@pytest.fixture
def bare(study: Study) -> Series:
    """A derived series of the platform's first version: no evidence, a shorter record."""
    volunteer = Volunteer.objects.create(study=study, code="V01")
    series = store(volunteer, "DLR_DF", lumbar() // 2)
    store(volunteer, "DF", lumbar())
    series.provenance = {
        "method": "ddlr",
        "model": "ddlr",
        "model_version": "1",
        "sigma": 60.5,
        "sigma_confidence": "high",
        "blend": 0.4,
        "achieved_gain": 1.69,
        "air_gain": None,
    }
    series.save()
    return series


def address(series: Series) -> str:
    return f"/studies/lumbar/variants/{series.pk}/"


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_the_worker_stores_maps_and_qc_with_the_series_and_they_go_with_it(
    made: Series, django_capture_on_commit_callbacks
) -> None:
    shape = (made.slices, made.rows, made.columns)
    for name in (UNCERTAINTY, FLAGGED, NOISE):
        assert read_map(made, name).shape == shape
    assert np.all(np.isfinite(read_map(made, UNCERTAINTY)))
    assert float(np.median(read_map(made, NOISE))) == pytest.approx(
        made.provenance["sigma"], rel=0.05
    )
    with default_storage.open(f"{made.prefix}/evidence/qc.json") as handle:
        assert json.loads(handle.read()) == made.provenance["qc"]
    flagged = [float(np.mean(plane)) for plane in read_map(made, FLAGGED)]
    assert made.provenance["maps"]["flagged_of_slices"] == pytest.approx(flagged)
    with django_capture_on_commit_callbacks(execute=True):
        do_delete_series(Series.objects.get(arm__code="DF"), None)
    assert not default_storage.exists(f"{made.prefix}/evidence/qc.json")
    assert not default_storage.exists(made.prefix)


def test_a_coordinator_sees_how_a_series_was_made_and_every_picture(
    study: Study, made: Series
) -> None:
    client = signed_in(make_coordinator(study))
    page = client.get(f"{address(made)}?slice=1").content.decode()
    assert "DLR-double-fast of V01, made from double-fast" in page
    assert "Slice 1 of 2" in page
    assert "Research use only" in page
    assert f"{made.provenance['achieved_gain']:.2f}× in the body" in page
    assert made.provenance["weights_sha256"][:12] in page
    assert "not corrected" in page
    for warning in made.provenance["warnings"]:
        assert warning.split("“")[0][:40] in page.replace("&#x27;", "'")
    for name in PICTURES:
        where = f"{address(made)}{name}/0.png"
        assert f'src="{where}"' in page
        answer = client.get(where)
        assert answer.headers["Content-Type"] == "image/png"
        assert answer.headers["Cache-Control"] == "private, no-store"
        shown = Image.open(io.BytesIO(answer.content))
        # 96 × 96 pixels of 1.25 × 0.625 mm, made square.
        assert shown.size[1] == 2 * shown.size[0]


def test_pictures_show_the_stored_volumes(study: Study, made: Series) -> None:
    client = signed_in(make_coordinator(study))
    source = Series.objects.get(arm__code="DF")

    def shown(name: str) -> np.ndarray:
        content = client.get(f"{address(made)}{name}/1.png").content
        image = Image.open(io.BytesIO(content)).convert("L")
        return np.asarray(image.resize((96, 96), Image.Resampling.BOX), dtype=float)

    def likeness(picture: np.ndarray, values: np.ndarray) -> float:
        return float(np.corrcoef(picture.ravel(), values.ravel())[0, 1])

    before, after = load_volume(source)[1], load_volume(made)[1]
    assert likeness(shown("input"), before) > 0.98
    assert likeness(shown("output"), after) > 0.98
    assert likeness(shown("removed"), before - after) > 0.95
    assert shown("removed").mean() == pytest.approx(127.5, abs=6)  # grey: nothing removed


def test_slices_are_chosen_by_number_and_ends_hold(study: Study, bare: Series) -> None:
    client = signed_in(make_coordinator(study))
    for asked, number in (("", 2), ("?slice=1", 1), ("?slice=99", 2), ("?slice=-4", 1)):
        assert f"Slice {number} of 2" in client.get(address(bare) + asked).content.decode()
    assert client.get(f"{address(bare)}?slice=middle").status_code == 404
    assert client.get(f"{address(bare)}output/2.png").status_code == 404
    assert client.get(f"{address(bare)}dicom/0.png").status_code == 404


def test_a_series_of_the_first_version_is_shown_without_evidence(
    study: Study, bare: Series
) -> None:
    client = signed_in(make_coordinator(study))
    page = client.get(address(bare)).content.decode()
    assert "before evidence was gathered" in page
    assert "1.69× in the body" in page
    assert "not measurable in the air" in page
    for name, status in zip(PICTURES, (200, 200, 200, 404, 404), strict=True):
        assert client.get(f"{address(bare)}{name}/0.png").status_code == status
        assert (f"{name}/1.png" in page) == (status == 200)


def test_the_grid_leads_to_the_evidence(study: Study, bare: Series) -> None:
    coordinator = make_coordinator(study)
    page = signed_in(coordinator).get("/studies/lumbar/readiness/").content.decode()
    assert page.count(f'href="{address(bare)}"') == 1
    assert page.count(">Evidence<") == 1  # acquired series have none
    do_add_member(study, None, coordinator, Role.READER)
    page = signed_in(coordinator).get("/studies/lumbar/readiness/").content.decode()
    assert ">Evidence<" not in page


def test_who_may_see_it(study: Study, bare: Series) -> None:
    """Default deny: the page and its pictures do not exist for anybody else, in no state."""
    other = make_study("other", "Another study")
    reading_coordinator = make_coordinator(study)
    do_add_member(study, None, reading_coordinator, Role.READER)
    counting_administrator = make_administrator("counts@example.org")
    do_add_member(study, None, counting_administrator, Role.STATISTICIAN)
    counting_coordinator = make_coordinator(study)
    do_add_member(study, None, counting_coordinator, Role.STATISTICIAN)
    opens_in: list[tuple[User, set[str]]] = [
        (make_coordinator(study), {"draft", "reading", "locked", "unblinded"}),
        (make_administrator(), {"draft", "reading", "locked", "unblinded"}),
        (reading_coordinator, {"locked", "unblinded"}),
        (counting_administrator, {"unblinded"}),
        (counting_coordinator, {"unblinded"}),
        (make_reader(study), set()),
        (make_statistician(study), set()),
        (make_coordinator(other), set()),
        (make_user(), set()),
    ]
    for state in ("draft", "reading", "locked", "unblinded"):
        Study.objects.filter(pk=study.pk).update(state=state)
        for user, states in opens_in:
            client = signed_in(user)
            for where in (address(bare), f"{address(bare)}output/0.png"):
                expected = 200 if state in states else 404
                assert client.get(where).status_code == expected, (user.email, state, where)
                assert client.post(where).status_code == 405
    assert Client().get(address(bare)).status_code == 302
    # An acquired series has no such page, nor does one of another study.
    client = signed_in(opens_in[0][0])
    source = Series.objects.get(arm__code="DF")
    assert client.get(address(source)).status_code == 404
    assert client.get(address(bare).replace("lumbar", "other")).status_code == 404


def test_what_is_flagged_is_outlined_and_its_slice_is_listed(study: Study, bare: Series) -> None:
    """On the maps as the worker writes them, with a place that was flagged by hand."""
    shape = (bare.slices, bare.rows, bare.columns)
    flagged = np.zeros(shape, dtype=bool)
    flagged[1, 40:60, 30:50] = True
    for name, values in (
        (UNCERTAINTY, np.full(shape, 0.25, dtype="<f4")),
        (NOISE, np.full(shape, 60.5, dtype="<f4")),
        (FLAGGED, flagged),
    ):
        buffer = io.BytesIO()
        np.save(buffer, values)
        write_file(f"{bare.prefix}/evidence/{name}.npy", buffer.getvalue())
    bare.provenance["maps"] = {"flagged_of_slices": [0.0, float(flagged[1].mean())]}
    bare.save()
    client = signed_in(make_coordinator(study))
    page = client.get(address(bare)).content.decode()
    assert f'href="{address(bare)}?slice=2" aria-current="true">2: 4.3 %<' in page
    assert "?slice=1" in page  # the slice before it, which is not listed
    assert "1: 0" not in page

    def outline(index: int) -> np.ndarray:
        content = client.get(f"{address(bare)}uncertainty/{index}.png").content
        image = np.asarray(Image.open(io.BytesIO(content)))
        return np.all(image == OUTLINE, axis=2)

    assert not outline(0).any()
    drawn = outline(1)
    # Around the place, not over it.
    scale = drawn.shape[0] / bare.rows
    rows, columns = np.nonzero(drawn)
    line = 40 * scale - rows.min()
    assert 1 <= line <= 4
    assert rows.max() + 1 == pytest.approx(60 * scale + line, abs=1)
    assert columns.min() == pytest.approx(30 * drawn.shape[1] / bare.columns - line, abs=1)
    assert not drawn[round(40 * scale) : round(60 * scale), :][:, round(40 * scale)].any()
