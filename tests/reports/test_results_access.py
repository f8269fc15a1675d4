"""Who sees what of the results, in each state of the study."""

from __future__ import annotations

import pytest
from django.test import Client

from readerstudy.accounts.models import User
from readerstudy.reports.models import Unblinding
from readerstudy.studies.models import Membership, Role, Study
from tests.factories import (
    make_administrator,
    make_coordinator,
    make_reader,
    make_statistician,
    make_study,
    make_user,
)
from tests.reports.published import import_golden, lock, sign, unblind

pytestmark = pytest.mark.django_db

ROOT = "/studies/published/"
QUICK = ("results/files/tests.csv", "results/figures/figure3.svg")
SLOW = ("results/bundle.zip", "results/figures/figure4.png")
FILES = (*QUICK, *SLOW)
PASSWORD = "a long and quiet evening"
PEOPLE = ("administrator", "coordinator", "statistician", "both", "reader", "stranger")


@pytest.fixture
def study() -> Study:
    return make_study("published", "Published tables")


@pytest.fixture
def people(study: Study) -> dict[str, User]:
    found = {
        "administrator": make_administrator(),
        "coordinator": make_coordinator(study),
        "statistician": make_statistician(study),
        "both": make_statistician(study),
        "reader": make_reader(study),
        "stranger": make_user(),
    }
    Membership.objects.create(study=study, user=found["both"], role=Role.READER, reader_code="R9")
    return found


def statuses(client: Client, people: dict[str, User], path: str) -> dict[str, int]:
    found = {}
    for name, person in people.items():
        client.force_login(person)
        found[name] = client.get(ROOT + path).status_code
    return found


def slow_statuses(
    client: Client, people: dict[str, User], path: str, *, without: tuple[str, ...]
) -> dict[str, int]:
    """`without` people who may as another one may: each answer takes seconds to make."""
    asking = {name: person for name, person in people.items() if name not in without}
    return {**dict.fromkeys(without, 200), **statuses(client, asking, path)}


def expected(**changes: int) -> dict[str, int]:
    return {**dict.fromkeys(PEOPLE, 404), **changes}


def test_before_the_lock_statisticians_see_progress_and_nobody_a_number(
    client: Client, study: Study, people: dict[str, User]
) -> None:
    import_golden(study)
    assert statuses(client, people, "results/") == expected(
        administrator=200, coordinator=403, statistician=200, both=403
    )
    for path in FILES:
        assert statuses(client, people, path) == expected()
    client.force_login(people["statistician"])
    page = client.get(ROOT + "results/").content.decode()
    assert "Results open when the study is locked" in page
    assert "50 / 50" in page
    assert "±" not in page


def test_after_the_lock_those_who_do_not_read_see_masked_results(
    client: Client, study: Study, people: dict[str, User]
) -> None:
    import_golden(study)
    lock(study)
    assert statuses(client, people, "results/") == expected(
        administrator=200, coordinator=403, statistician=200, both=403
    )
    for path in QUICK:
        assert statuses(client, people, path) == expected(administrator=200, statistician=200)
    for path in SLOW:
        assert slow_statuses(client, people, path, without=("administrator",)) == expected(
            administrator=200, statistician=200
        )


def test_after_unblinding_coordinators_see_results_too_and_readers_never(
    client: Client, study: Study, people: dict[str, User]
) -> None:
    import_golden(study)
    lock(study)
    unblind(study, None, "reviewed")
    for path in ("results/", *QUICK):
        assert statuses(client, people, path) == expected(
            administrator=200, coordinator=200, statistician=200, both=200
        )
    for path in SLOW:
        others = ("administrator", "coordinator", "both")
        assert slow_statuses(client, people, path, without=others) == expected(
            administrator=200, coordinator=200, statistician=200, both=200
        )


def test_who_may_unblind_through_the_page(
    client: Client, study: Study, people: dict[str, User]
) -> None:
    import_golden(study)
    lock(study)
    plan = sign(study)
    answers, seen = {}, {}
    for name in ("stranger", "reader", "both", "coordinator", "statistician"):
        people[name].set_password(PASSWORD)
        people[name].save()
        client.force_login(people[name])
        seen[name] = client.get(ROOT + "results/unblind/").status_code
        act = {
            "reason": "reviewed",
            "confirmed": "on",
            "password": PASSWORD,
            "plan_sha256": plan.sha256,
        }
        answers[name] = client.post(ROOT + "results/unblind/", act).status_code
        assert Unblinding.objects.exists() == (name == "statistician")
    refused = {"stranger": 404, "reader": 404, "both": 403, "coordinator": 403}
    assert seen == {**refused, "statistician": 200}
    assert answers == {**refused, "statistician": 302}


def test_unblinding_without_a_reason_is_asked_again(
    client: Client, study: Study, people: dict[str, User]
) -> None:
    import_golden(study)
    lock(study)
    sign(study)
    client.force_login(people["statistician"])
    response = client.post(ROOT + "results/unblind/", {"reason": ""})
    assert response.status_code == 422
    assert "Say why the key is opened now" in response.content.decode()
    assert not Unblinding.objects.exists()


def test_nobody_sees_anything_without_signing_in(client: Client, study: Study) -> None:
    for path in ("results/", "import/", *FILES):
        assert client.get(ROOT + path).status_code == 302


def test_only_coordinators_reach_the_import(
    client: Client, study: Study, people: dict[str, User]
) -> None:
    assert statuses(client, people, "import/") == expected(administrator=200, coordinator=200)


def test_files_that_do_not_exist_are_not_found(
    client: Client, study: Study, people: dict[str, User]
) -> None:
    import_golden(study)
    lock(study)
    client.force_login(people["statistician"])
    for path in ("files/key.csv", "figures/figure9.svg", "figures/figure3.exe", "files/arms.csv"):
        assert client.get(f"{ROOT}results/{path}").status_code == 404
