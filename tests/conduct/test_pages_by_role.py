"""What the pages of a study show to whom, and what they do. Who may open which of them at all:
`tests/web/test_permissions.py`."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from readerstudy.accounts.models import User
from readerstudy.conduct.services import do_launch
from readerstudy.imaging.models import Series, Volunteer
from readerstudy.imaging.services import do_delete_series
from readerstudy.jobs.access import may_see
from readerstudy.jobs.models import Job
from readerstudy.reading.models import Session
from readerstudy.reading.services import do_comment
from readerstudy.studies.models import Membership, Role, Study
from readerstudy.studies.services import do_add_member
from readerstudy.variants.models import Variant
from tests.factories import (
    make_administrator,
    make_coordinator,
    make_reader,
    make_statistician,
    make_study,
    make_user,
)
from tests.reading.imaged_study import (
    first_item,
    make_imaged_study,
    make_reading_study,
    read_to_the_end,
    reader_of,
    session_of,
)

pytestmark = pytest.mark.django_db


def people_of(study: Study) -> dict[str, User | None]:
    return {
        "administrator": make_administrator(),
        "coordinator": make_coordinator(study),
        "statistician": make_statistician(study),
        "reader": make_reader(study),
        # A coordinator elsewhere must not pass here; whoever coordinates may create studies.
        "outsider": make_reader(make_study("elsewhere", "Elsewhere")),
        "anonymous": None,
    }


def client_of(user: User | None) -> Client:
    client = Client()
    if user is not None:
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_a_member_cannot_be_removed_through_another_study() -> None:
    study, other = make_study(), make_study("other", "Other")
    statistician = make_statistician(study)
    client = client_of(make_coordinator(other))
    membership = Membership.objects.get(user=statistician)
    response = client.post(reverse("study_member_remove", args=["other", membership.pk]))
    assert response.status_code == 404
    assert Membership.objects.filter(pk=membership.pk).exists()


# --- Blinding -------------------------------------------------------------------------------------


def test_a_readers_first_page_names_no_arm_no_volunteer_and_no_study_address() -> None:
    study = make_imaged_study(volunteers=3, readers=1)
    Study.objects.update(description="DLR-double-fast against standard", credits="SPIDER")
    reader = Membership.objects.get(role=Role.READER).user
    for state in (Study.State.DRAFT, Study.State.READING, Study.State.LOCKED):
        if state == Study.State.READING:
            do_launch(study, None)
        if state == Study.State.LOCKED:
            Study.objects.update(state=state)
        response = client_of(reader).get("/")
        page = response.content.decode()
        assert study.title in page
        text = re.sub(r"<(script|link)[^>]*>", "", page)
        # Three letters turn up by chance in the random value that a form carries.
        text = re.sub(r"\b[A-Za-z0-9]{64}\b", "", text)
        for secret in ("STD", "double-fast", "triple-fast", "DLR_", "V01", "SPIDER", "/studies/"):
            assert secret not in text, (state, secret)
        assert ('href="/reading/"' in page) == (state == Study.State.READING)


def test_a_readers_first_page_goes_on_where_the_reading_stopped() -> None:
    study = make_imaged_study(volunteers=3, readers=1)
    do_launch(study, None)
    client = client_of(Membership.objects.get(role=Role.READER).user)
    page = client.get("/").content.decode()
    assert "0 of 15 items submitted" in page
    assert "Your reading sessions" in page


def test_a_readers_first_page_offers_nothing_to_read_during_the_washout() -> None:
    study = make_reading_study(volunteers=2, readers=1, occasions=2, washout_days=14)
    session = session_of(study)
    client = client_of(reader_of(session))
    read_to_the_end(session)
    page = client.get("/").content.decode()
    assert "10 of 20 items submitted" in page
    assert "The next occasion opens after the washout" in page
    assert "Your reading sessions" not in page
    Session.objects.filter(occasion=2).update(opens_at=timezone.now())
    assert "Your reading sessions" in client.get("/").content.decode()


def test_jobs_are_watched_by_those_who_run_or_analyse_the_study() -> None:
    study = make_study()
    people = people_of(study)
    job = Job.objects.create(kind="variants.derive", study_id=study.pk)
    allowed = {name for name, user in people.items() if user is not None and may_see(user, job)}
    assert allowed == {"administrator", "coordinator", "statistician"}


# --- What the pages do ----------------------------------------------------------------------------


def test_a_study_is_created_from_the_lumbar_protocol_by_form() -> None:
    client = client_of(make_administrator())
    response = client.post(reverse("study_new"), {"title": "Hip", "slug": "hip"})
    assert response.headers["Location"] == "/studies/hip/design/"
    assert Study.objects.get(slug="hip").arms.count() == 5
    again = client.post(reverse("study_new"), {"title": "Hip", "slug": "hip"})
    assert "taken by another study" in again.content.decode()


def test_an_invited_reader_gets_a_link_once_and_a_code() -> None:
    study = make_study(readers=1)
    client = client_of(make_coordinator(study))
    where = reverse("study_members", args=[study.slug])
    page = client.post(
        where, {"email": "New.Reader@example.org", "name": "New Reader", "role": "reader"}
    ).content.decode()
    link = re.search(r'id="invitation-link">([^<]+)<', page)
    assert link is not None
    assert Membership.objects.get(user__email="new.reader@example.org").reader_code == "R2"
    assert link[1] not in client.get(where).content.decode()
    assert Client().get(urlsplit(link[1]).path).status_code == 200


def test_somebody_with_an_account_gets_a_role_without_an_invitation() -> None:
    study = make_study()
    person = make_user("sam@example.org")
    client = client_of(make_coordinator(study))
    page = client.post(
        reverse("study_members", args=[study.slug]),
        {"email": "sam@example.org", "name": "", "role": "statistician"},
    ).content.decode()
    assert "already has an account" in page
    assert "invitation-link" not in page
    assert Membership.objects.filter(user=person, role=Role.STATISTICIAN).exists()


def test_the_launch_is_confirmed_refused_with_reasons_and_done() -> None:
    study = make_imaged_study()
    client = client_of(make_coordinator(study))
    where = reverse("launch", args=[study.slug])
    assert "Tick the box" in client.post(where, {}).content.decode()
    assert Study.objects.get().is_draft
    response = client.post(where, {"confirmed": "on"})
    assert response.headers["Location"] == reverse("readiness", args=[study.slug])
    page = client.get(response.headers["Location"]).content.decode()
    assert "The study is launched" in page
    assert "0 / 15" in page


def test_a_launch_that_cannot_be_says_why_on_the_page() -> None:
    study = make_study()
    client = client_of(make_coordinator(study))
    page = client.post(reverse("launch", args=[study.slug]), {"confirmed": "on"}).content.decode()
    assert "No volunteer yet: upload the scans first." in page
    assert Study.objects.get().is_draft


def test_the_lock_asks_for_a_reason_while_items_are_open() -> None:
    study = make_imaged_study()
    do_launch(study, None)
    client = client_of(make_coordinator(study))
    where = reverse("lock", args=[study.slug])
    page = client.post(where, {"confirmed": "on"}).content.decode()
    assert "Items are still open (R1 15, R2 15)" in page
    response = client.post(where, {"confirmed": "on", "reason": "Pilot ended."})
    assert response.status_code == 302
    assert Study.objects.get().state == Study.State.LOCKED


def test_locking_is_the_next_thing_to_do_only_once_everything_is_read() -> None:
    study = make_reading_study(volunteers=2, readers=1)
    client = client_of(make_coordinator(study))
    where = reverse("readiness", args=[study.slug])
    lock = f'href="{reverse("lock", args=[study.slug])}">Lock…'
    assert f'class="btn" {lock}' in client.get(where).content.decode()
    read_to_the_end(session_of(study))
    assert f'class="btn btn-primary" {lock}' in client.get(where).content.decode()


def test_an_open_item_with_an_answer_is_told_from_a_reading_not_begun() -> None:
    study = make_reading_study(volunteers=2, readers=1)
    session = session_of(study)
    client = client_of(make_coordinator(study))
    where = reverse("readiness", args=[study.slug])
    assert "not begun" in client.get(where).content.decode()
    do_comment(first_item(session), "Motion.", 0, reader_of(session))
    page = client.get(where).content.decode()
    assert "not begun" not in page
    assert "first item open" in page
    assert "Motion" not in page


def test_the_desk_is_fetched_again_only_while_something_runs() -> None:
    study = make_imaged_study(volunteers=1)
    client = client_of(make_coordinator(study))
    Job.objects.all().delete()
    where = reverse("readiness", args=[study.slug])
    assert "hx-get" not in client.get(where).content.decode()
    _remove(study, "DLR_DF")
    job = Job.objects.create(kind="variants.derive", state=Job.State.RUNNING, study_id=study.pk)
    Variant.objects.update_or_create(
        volunteer=Volunteer.objects.get(),
        arm=study.arms.get(code="DLR_DF"),
        defaults={"source": Series.objects.get(arm__code="DF"), "job": job},
    )
    assert 'hx-trigger="every 2s"' in client.get(where).content.decode()
    panel = client.get(reverse("readiness_panel", args=[study.slug])).content.decode()
    assert panel.lstrip().startswith('<div id="desk"')
    Job.objects.filter(pk=job.pk).update(state=Job.State.FAILED, error="Out of memory.")
    page = client.get(where).content.decode()
    assert "hx-get" not in page
    assert "Out of memory." in page
    assert "Try again" in page


def test_a_failed_series_is_asked_for_again_once() -> None:
    study = make_imaged_study(volunteers=1)
    client = client_of(make_coordinator(study))
    _remove(study, "DLR_DF")
    job = Job.objects.create(kind="variants.derive", state=Job.State.FAILED, study_id=study.pk)
    variant, _ = Variant.objects.update_or_create(
        volunteer=Volunteer.objects.get(),
        arm=study.arms.get(code="DLR_DF"),
        defaults={"source": Series.objects.get(arm__code="DF"), "job": job},
    )
    where = reverse("readiness_derive", args=[study.slug, "V01", "DLR_DF"])
    client.post(where)
    variant.refresh_from_db()
    assert variant.job is not None
    assert (variant.job.state, variant.job.pk != job.pk) == (Job.State.QUEUED, True)
    page = client.post(where, follow=True).content.decode()
    assert "nothing to start" in page
    assert client.post(where.replace("V01", "V99")).status_code == 404


def _remove(study: Study, arm: str) -> None:
    do_delete_series(Series.objects.get(volunteer__study=study, arm__code=arm), None)


def test_the_overview_shows_the_protocol_in_words() -> None:
    study = make_study(notice="Simulated acceleration.")
    page = client_of(make_statistician(study)).get(f"/studies/{study.slug}/").content.decode()
    for words in (
        "Simulated acceleration.",
        "dDLR of double-fast, SNR gain 1.7",
        "How sharp are edges",
        "obviously superior",
        "SD of the background air",
        "Reference tissue (CNR)",
    ):
        assert words in page
    assert "Edit settings" not in page  # a statistician looks on


def test_tabs_follow_the_roles() -> None:
    study = make_study()
    coordinator, statistician = make_coordinator(study), make_statistician(study)
    where = f"/studies/{study.slug}/"

    def tabs(user: User) -> list[str]:
        page = client_of(user).get(where).content.decode()
        nav = page.split('aria-label="Study"')[1].split("</nav>")[0]
        return re.findall(r">([A-Z][a-z]+)</a>", nav)

    assert tabs(coordinator) == [
        "Overview",
        "Design",
        "Members",
        "Uploads",
        "Readiness",
        "Regions",
        "Plan",
        "Results",
    ]
    assert tabs(statistician) == ["Overview", "Plan", "Results"]


def test_whoever_leaves_the_study_is_sent_home() -> None:
    study = make_study()
    first, second = make_coordinator(study), make_coordinator(study)
    do_add_member(study, None, first, Role.STATISTICIAN)
    membership = Membership.objects.get(user=second)
    response = client_of(second).post(
        reverse("study_member_remove", args=[study.slug, membership.pk])
    )
    assert response.headers["Location"] == "/"
