"""Derived arms of a draft: added with their recipe, made of every volunteer, taken away again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.test import Client

from denoise_engine import models
from readerstudy.audit.models import Event
from readerstudy.imaging.models import Series, Volunteer
from readerstudy.jobs.models import Job
from readerstudy.jobs.worker import run_pending
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Arm, Study
from readerstudy.variants.arms import do_add_derived_arm
from tests.factories import make_coordinator, make_reader, make_statistician, make_study
from tests.imaging.datasets import phantom

from .scans import lumbar, store

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage_apart")]

PAGE = "/studies/lumbar/variants/"


@pytest.fixture
def study() -> Study:
    return make_study()


@pytest.fixture
def client(study: Study) -> Client:
    client = Client()
    client.force_login(make_coordinator(study))
    return client


def typed(study: Study, **changes: Any) -> dict[str, Any]:
    """The form as it stands when a coordinator sends it."""
    return {
        "name": "DLR-double-fast, weak",
        "code": "DLR_DF_WEAK",
        "source": study.arms.get(code="DF").pk,
        "method": "ddlr",
        "strength": "blend",
        "value": "0",
        "noise": "level",
        "native_grid": "auto",
        "bias_coils": "",
        "compared_with": [study.arms.get(code="STD").pk],
    } | changes


def test_a_second_strength_is_added_and_made_of_every_volunteer(
    study: Study, client: Client
) -> None:
    volunteer = Volunteer.objects.create(study=study, code="V01")
    study.comparisons.all().delete()
    study.arms.filter(kind=Arm.Kind.DERIVED).delete()
    store(volunteer, "DF", lumbar())
    answer = client.post(PAGE, typed(study))
    assert answer.status_code == 302
    arm = study.arms.get(code="DLR_DF_WEAK")
    assert arm.recipe == {"method": "ddlr", "strength": {"kind": "blend", "value": 0.0}}
    assert [str(pair) for pair in study.comparisons.all()] == ["STD v DLR_DF_WEAK"]
    assert run_pending("gpu") == 1
    series = Series.objects.get(arm=arm)
    assert series.provenance["blend"] == 0
    page = client.get(PAGE).content.decode()
    assert "dDLR of double-fast, blend 0" in page
    assert f'href="{PAGE}{series.pk}/"' in page
    added = Event.objects.get(action="studies.arm.added")
    assert added.new["recipe"] == arm.recipe
    assert added.new["compared_with"] == ["STD"]


def test_every_choice_of_the_form_stands_in_the_recipe(study: Study, client: Client) -> None:
    changes = {"method": "nlm", "strength": "full", "noise": "map"}
    client.post(PAGE, typed(study, **changes, native_grid="off", bias_coils="8", compared_with=[]))
    assert study.arms.get(code="DLR_DF_WEAK").recipe == {
        "method": "nlm",
        "strength": {"kind": "full"},
        "noise": "map",
        "native_grid": "off",
        "bias_coils": 8,
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"value": "1.5"}, "a blend lies between 0 and 1, not at 1.5"),
        ({"value": ""}, "needs a number"),
        ({"strength": "target_snr_gain", "value": "0.5"}, "a target gain is 1 or more"),
        ({"code": "dlr_df"}, "has an arm dlr_df already"),
        ({"name": "dlr-Double-fast"}, "of the name “dlr-Double-fast” already"),
        ({"code": "two words"}, "cannot be an arm’s code"),
        ({"method": "magic"}, "Select a valid choice"),
        ({"bias_coils": "49"}, "less than or equal to 48"),
    ],
)
def test_what_cannot_be_an_arm_is_said_and_changes_nothing(
    study: Study, client: Client, changes: dict[str, Any], said: str
) -> None:
    answer = client.post(PAGE, typed(study, **changes))
    assert answer.status_code == 200
    assert said in answer.content.decode()
    assert study.arms.count() == 5
    assert not Event.objects.filter(action="studies.arm.added").exists()


def test_an_arm_is_compared_with_arms_of_its_own_study_alone(study: Study) -> None:
    other = make_study("other", "Another study").arms.get(code="STD")
    recipe = {"method": "ddlr", "strength": {"kind": "full"}}
    with pytest.raises(StudyError, match="not an arm of this study"):
        do_add_derived_arm(
            study,
            None,
            code="NEW",
            name="New",
            source=study.arms.get(code="DF"),
            recipe=recipe,
            compared_with=[other],
        )
    assert not study.arms.filter(code="NEW").exists()


@pytest.mark.parametrize("state", ["draft", "reading"])
def test_an_unreadable_list_of_methods_is_said_on_the_page(
    study: Study, client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, state: str
) -> None:
    Study.objects.filter(pk=study.pk).update(state=state)
    broken = tmp_path / "manifest.json"
    broken.write_text("{", encoding="utf-8")
    monkeypatch.setattr(models.available_models, "__defaults__", (broken,))
    answers = [client.get(PAGE), client.post(PAGE, typed(study))]
    for answer in answers:
        page = answer.content.decode()
        assert answer.status_code == 200
        assert "DLR-double-fast" in page
        assert ("“manifest.json” cannot be read" in page) == (state == "draft")
        assert 'name="method"' not in page
    assert study.arms.count() == 5


def test_an_arm_goes_with_its_series_jobs_and_comparisons(
    study: Study, client: Client, django_capture_on_commit_callbacks
) -> None:
    volunteer = Volunteer.objects.create(study=study, code="V01")
    made = store(volunteer, "DLR_TF", phantom(3))
    store(volunteer, "DF", phantom(3))
    assert Job.objects.get().state == Job.State.QUEUED
    with django_capture_on_commit_callbacks(execute=True):
        for code in ("DLR_DF", "DLR_TF"):
            assert client.post(f"{PAGE}arms/{code}/remove/").status_code == 302
    assert Job.objects.get().state == Job.State.CANCELLED
    assert not study.arms.filter(kind=Arm.Kind.DERIVED).exists()
    assert not study.comparisons.exists()
    assert not default_storage.exists(made.prefix)
    assert Series.objects.get().arm.code == "DF"
    assert Event.objects.filter(action="studies.arm.removed").count() == 2


def test_acquired_arms_and_launched_studies_stay_as_they_are(study: Study, client: Client) -> None:
    client.post(f"{PAGE}arms/DF/remove/")
    assert study.arms.filter(code="DF").exists()
    Study.objects.filter(pk=study.pk).update(state=Study.State.READING)
    page = client.post(PAGE, typed(study), follow=True).content.decode()
    assert "its protocol is frozen" in page
    client.post(f"{PAGE}arms/DLR_DF/remove/")
    assert study.arms.count() == 5
    assert "Add an arm" not in client.get(PAGE).content.decode()


def test_only_coordinators_open_the_page(study: Study) -> None:
    for user in (make_reader(study), make_statistician(study)):
        client = Client()
        client.force_login(user)
        assert client.get(PAGE).status_code == 404
        assert client.post(PAGE, typed(study)).status_code == 404
        assert client.post(f"{PAGE}arms/DLR_DF/remove/").status_code == 404
    assert study.arms.count() == 5
