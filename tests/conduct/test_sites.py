"""A study of two hospitals: each sees its own volunteers, the codes and the tables are one."""

from __future__ import annotations

import base64
import csv
import io
import json
import uuid
from collections import Counter
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test import Client
from django.urls import reverse

from readerstudy.accounts.models import User
from readerstudy.audit.models import Event
from readerstudy.conduct.locking import do_lock
from readerstudy.conduct.people import do_describe_volunteers
from readerstudy.conduct.services import do_launch
from readerstudy.imaging.models import Series, Upload, Volunteer
from readerstudy.imaging.uploads import do_create_upload, do_finish_batch
from readerstudy.jobs.worker import run_pending
from readerstudy.reading.models import Item
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Membership, Role, Site, Study
from readerstudy.studies.services import do_add_member
from readerstudy.studies.sites import do_add_site, do_remove_site, do_rename_site
from tests.factories import make_coordinator, make_statistician, make_study, make_user
from tests.imaging.datasets import as_files, phantom, series
from tests.imaging.uploading import refusals, send_zip
from tests.reading.imaged_study import make_imaged_study, read_to_the_end, session_of
from tests.reports.published import unblind

pytestmark = pytest.mark.django_db
TUS = {"Tus-Resumable": "1.0.0"}


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def add_sites(study: Study) -> tuple[Site, Site]:
    zurich = do_add_site(study, None, "ZRH", "Zürich")
    return zurich, do_add_site(study, None, "BSL", "Basel")


def site_coordinator(study: Study, site: Site) -> User:
    return do_add_member(study, None, make_user(), Role.SITE_COORDINATOR, site=site).user


@pytest.fixture
def study() -> Study:
    """V01 of Zürich, V02 and V03 of Basel; R1 reads all, R2 Basel's."""
    study = make_imaged_study(volunteers=3, readers=1)
    zurich, basel = add_sites(study)
    do_add_member(study, None, make_user(), Role.READER, site=basel)
    Volunteer.objects.filter(study=study).update(site=basel)
    Volunteer.objects.filter(study=study, code="V01").update(site=zurich)
    return study


def test_a_site_coordinator_sees_and_changes_the_own_sites_volunteers_alone(study: Study) -> None:
    user = site_coordinator(study, study.sites.get(code="ZRH"))
    client = client_of(user)
    for name in ("uploads", "readiness", "readiness_panel", "readiness_people"):
        page = client.get(reverse(name, args=[study.slug])).content.decode()
        assert "V01" in page, name
        assert not {word for word in ("V02", "V03", "Basel") if word in page}, name
    home = client.get(reverse("home")).content.decode()
    assert "Zürich: 5 of 5 image series ready" in home
    # The protocol, the launch, the readers and the results are not theirs.
    for name in ("study", "study_design", "study_members", "launch", "plan", "results", "regions"):
        assert client.get(reverse(name, args=[study.slug])).status_code == 404, name
    for code, status in (("V01", 200), ("V03", 404)):
        address = reverse("readiness_withdraw", args=[study.slug, code])
        assert client.get(address).status_code == status
        stored = Series.objects.get(volunteer__code=code, arm__code="TF")
        address = reverse("series_delete", args=[study.slug, stored.pk])
        assert client.post(address).status_code == (302 if status == 200 else 404)
        assert Series.objects.filter(pk=stored.pk).exists() == (status == 404)
    assert do_describe_volunteers(study, user, {"V01": {"age_years": 40}}) == 1
    with pytest.raises(StudyError, match="V03 is no volunteer"):
        do_describe_volunteers(study, user, {"V03": {"age_years": 40}})
    with pytest.raises(PermissionDenied):  # whose volunteers they are is the study's to say
        do_describe_volunteers(study, user, {"V01": {"site": ""}})

    # Whose they are is said by a coordinator of the study; without it nothing is launched.
    coordinator = make_coordinator(study)
    form = {"form": "volunteers", "site:V01": "", "site:V02": "BSL", "site:V03": "BSL"}
    people = reverse("readiness_people", args=[study.slug])
    client_of(coordinator).post(people, form)
    moved = Event.objects.get(action="imaging.volunteer.placed")
    assert (moved.old, moved.new) == ({"site": "ZRH"}, {"code": "V01"})
    with pytest.raises(StudyError, match="V01 belongs to no site"):
        do_launch(study, coordinator)
    Volunteer.objects.update(site=study.sites.get(code="BSL"))
    do_add_member(study, None, make_user(), Role.READER, site=study.sites.get(code="ZRH"))
    with pytest.raises(StudyError, match="reads at Zürich, which has no volunteer"):
        do_launch(study, coordinator)


def test_what_a_site_sends_becomes_its_own_and_touches_no_other_sites_volunteer() -> None:
    study = make_study()
    zurich, basel = add_sites(study)
    here, there = (client_of(site_coordinator(study, site)) for site in (zurich, basel))
    send_zip(study, as_files(series(phantom(3)), "V01/STD"), site=basel)

    def create(client: Client, batch: uuid.UUID, **facts: str) -> Any:
        facts |= {"filename": "a.zip", "batch": str(batch)}
        told = ",".join(f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in facts.items())
        headers = {**TUS, "Upload-Length": "4", "Upload-Metadata": told}
        return client.post(reverse("upload_tus", args=[study.slug]), headers=headers)

    refused = create(here, uuid.uuid4(), volunteer="v01", arm="STD")
    assert refused.status_code == 422
    assert "V01 belongs to no volunteer of Zürich" in refused.content.decode()
    batch = uuid.uuid4()
    location = create(here, batch, site="BSL")["Location"]  # the own site, whatever is asked
    assert Upload.objects.get(batch=batch).site == zurich
    finish = reverse("upload_finish", args=[study.slug])
    sent = {"data": json.dumps({"batch": str(batch)}), "content_type": "application/json"}
    assert here.head(location, headers=TUS).status_code == 200
    assert there.head(location, headers=TUS).status_code == 404
    assert there.delete(location, headers=TUS).status_code == 404
    assert there.post(finish, **sent).status_code == 403
    assert there.get(reverse("upload_status", args=[study.slug])).json()["uploads"] != []
    status = here.get(reverse("upload_status", args=[study.slug]), {"batch": str(batch)}).json()
    assert [one["batch"] for one in status["uploads"]] == [str(batch)]

    files = as_files(series(phantom(3)), "V01/DF") | as_files(series(phantom(3)), "V02/STD")
    send_zip(study, files, site=zurich)
    assert set(refusals(study).values()) == {
        "The code V01 belongs to no volunteer of Zürich: each code is given once in the study. "
        "Use another, or ask the study's coordinator."
    }
    sites = dict(Volunteer.objects.filter(study=study).values_list("code", "site__code"))
    assert sites == {"V01": "BSL", "V02": "ZRH"}
    # Without a place it waits in the inbox of the site that sent it.
    send_zip(study, as_files(series(phantom(3)), "unknown"), site=zurich)
    inbox = reverse("uploads_inbox", args=[study.slug])
    waiting = study.inbox.get()
    sheet = reverse("uploads_inbox_sheet", args=[study.slug, waiting.pk])
    for client, sees in ((here, True), (there, False), (client_of(make_coordinator(study)), True)):
        assert (f"take-{waiting.pk}" in client.get(inbox).content.decode()) == sees
        assert client.get(sheet).status_code == (200 if sees else 404)
    assign = {f"take-{waiting.pk}": "1", f"arm-{waiting.pk}": "STD"}
    there.post(inbox, assign | {f"volunteer-{waiting.number}": "V09"})
    assert study.inbox.get().state == "waiting"
    here.post(inbox, assign | {f"volunteer-{waiting.number}": "V03"})
    run_pending("cpu")
    assert Volunteer.objects.get(code="V03").site == zurich


def test_a_local_reader_reads_the_own_site_and_every_table_knows_the_site(study: Study) -> None:
    do_launch(study, None, "tests")

    def read(code: str) -> Counter[str]:
        items = Item.objects.filter(session=session_of(study, code))
        return Counter(items.values_list("volunteer__code", flat=True))

    assert read("R1") == Counter(dict.fromkeys(["V01", "V02", "V03"], 5))
    assert read("R2") == Counter(dict.fromkeys(["V02", "V03"], 5))
    call_command("rederive_order", study.slug)
    study.refresh_from_db()
    assert (study.protocol or {})["local_readers"] == {"R2": "BSL"}
    stored = Event.objects.get(action="reading.randomisation.stored")
    assert (stored.new or {})["items_by_reader"] == {"R1": 15, "R2": 10}

    for code in ("R1", "R2"):
        read_to_the_end(session_of(study, code))
    study.refresh_from_db()
    do_lock(study, None)
    study.refresh_from_db()
    unblind(study)
    client = client_of(make_statistician(study))

    def rows(name: str) -> list[dict[str, str]]:
        content = client.get(reverse("results_file", args=[study.slug, name])).content
        return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))

    of = {"V01": "ZRH", "V02": "BSL", "V03": "BSL"}
    for name in ("ratings_long.csv", "answers_long.csv"):
        assert {(row["volunteer"], row["site"]) for row in rows(name)} == set(of.items()), name
    by_site = {(r["row"], r["site"], r["arm"]): r for r in rows("by_site.csv")}
    scores = [r for r in rows("ratings_long.csv") if r["criterion"] == "sharpness"]
    for site, n, readers in (("ZRH", 1, 1), ("BSL", 2, 2)):
        own: dict[str, list[float]] = {}
        for row in scores:
            if row["site"] == site and row["arm"] == "TF":
                own.setdefault(row["volunteer"], []).append(float(row["score"]))
        means = [sum(values) / len(values) for values in own.values()]
        found = by_site["sharpness", site, "TF"]
        assert (found["n"], found["readers"]) == (str(n), str(readers))
        assert float(found["mean"]) == pytest.approx(sum(means) / n)
    page = client.get(reverse("results_part", args=[study.slug, "sites"])).content.decode()
    assert not {word for word in ("Results by site", "Zürich", "Basel") if word not in page}
    call_command("verify_snapshot", study.slug)


def test_sites_are_named_by_coordinators_and_kept_while_anybody_belongs_to_them() -> None:
    study = make_study()
    coordinator = make_coordinator(study)
    client = client_of(coordinator)
    members = reverse("study_members", args=[study.slug])
    client.post(members, {"form": "site", "site-code": "ZRH", "site-name": "Zürich"})
    zurich = Site.objects.get(study=study)
    for code, name in (("zrh", "Another"), ("X", "zürich"), ("a b", "Wrong"), ("", "None")):
        with pytest.raises(StudyError):
            do_add_site(study, coordinator, code, name)
    invited = {"email": "site@example.org", "name": "", "role": "site_coordinator"}
    page = client.post(members, invited | {"site": ""}).content.decode()
    assert "Choose the site" in page
    client.post(members, invited | {"site": "ZRH"})
    assert Membership.objects.get(role=Role.SITE_COORDINATOR).site == zurich
    with pytest.raises(StudyError, match="of the whole study"):
        do_add_member(study, None, make_user(), Role.STATISTICIAN, site=zurich)
    foreign = do_add_site(make_study("other"), None, "ZRH", "Zürich")
    with pytest.raises(StudyError, match="no site of this study"):
        do_add_member(study, None, make_user(), Role.READER, site=foreign)
    with pytest.raises(StudyError, match="has members"):
        do_remove_site(zurich, coordinator)
    user = Membership.objects.get(role=Role.SITE_COORDINATOR).user
    for act in (
        lambda: do_add_site(study, user, "BSL", "Basel"),
        lambda: do_rename_site(zurich, user, "Mine"),
        lambda: do_create_upload(study, user, name="a", size=1, batch=uuid.uuid4()),
        lambda: do_finish_batch(study, uuid.uuid4(), user),
    ):
        with pytest.raises(PermissionDenied):
            act()
    client.post(reverse("study_site_rename", args=[study.slug, zurich.pk]), {"name": "Zurich"})
    Membership.objects.filter(site=zurich).delete()
    Volunteer.objects.create(study=study, code="V01", site=zurich)
    with pytest.raises(StudyError, match="volunteers or uploads"):
        do_remove_site(zurich, coordinator)
    Volunteer.objects.all().delete()
    client.post(reverse("study_site_remove", args=[study.slug, zurich.pk]))
    assert not Site.objects.filter(study=study).exists()
    told = Event.objects.filter(action__startswith="studies.site").order_by("sequence")
    assert [event.action.rpartition(".")[2] for event in told.filter(study_id=study.pk)] == [
        *("added", "renamed", "removed")
    ]


@pytest.mark.django_db(transaction=True)
def test_members_and_volunteers_of_an_earlier_version_belong_to_the_whole_study() -> None:
    for app, before in (("imaging", "0003_inbox_and_rules"), ("studies", "0004_plan_versions")):
        call_command("migrate", app, before, verbosity=0)
    loader = MigrationExecutor(connection).loader
    old = loader.project_state(list(loader.applied_migrations)).apps
    study = old.get_model("studies", "Study").objects.create(slug="old", title="Old")
    user = old.get_model("accounts", "User").objects.create(email="old@example.org")
    for role, code in (("coordinator", ""), ("reader", "R1"), ("statistician", "")):
        old.get_model("studies", "Membership").objects.create(
            study=study, user=user, role=role, reader_code=code
        )
    old.get_model("imaging", "Volunteer").objects.create(study=study, code="V01")
    call_command("migrate", verbosity=0)
    assert set(Membership.objects.values_list("role", "site")) == {
        *(("coordinator", None), ("reader", None), ("statistician", None))
    }
    assert Volunteer.objects.get().site is None
    assert not Site.objects.exists()
    client = client_of(User.objects.get())
    for name in ("readiness", "uploads"):
        assert client.get(reverse(name, args=["old"])).status_code == 200
