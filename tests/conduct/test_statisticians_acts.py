"""The acts between reading and results: plan, lock, unblinding, exclusions, and what refuses."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.test import Client

from readerstudy.accounts.models import User
from readerstudy.audit.models import Event
from readerstudy.conduct.locking import do_lock, do_unlock, standing_lock
from readerstudy.conduct.models import Locking, Unlocking
from readerstudy.conduct.services import do_launch
from readerstudy.reports.bundles.contents import bundle_files
from readerstudy.reports.exclusions import do_exclude, do_take_back, with_and_without, without
from readerstudy.reports.models import Exclusion, Snapshot, Unblinding
from readerstudy.reports.plan_services import (
    PlanFaults,
    StalePlan,
    do_save_plan,
    do_sign_plan,
    settings_from_file,
)
from readerstudy.reports.plans import plan_of
from readerstudy.reports.report import computed, masked_report, named_report
from readerstudy.reports.services import do_unblind
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Arm, Plan, PlanVersion, Study
from readerstudy.studies.protocol import sha256_of
from tests.factories import (
    PASSWORD,
    make_administrator,
    make_coordinator,
    make_reader,
    make_statistician,
    make_study,
)
from tests.reading.imaged_study import (
    make_imaged_study,
    read_to_the_end,
    session_of,
)
from tests.reports.published import lock, make_published_study, sign, unblind
from tests.reports.test_masking import texts_of

pytestmark = pytest.mark.django_db


def settings_of(study: Study, **changes: Any) -> dict[str, Any]:
    return {**Plan.objects.get(study=study).settings(), **changes}


def posted(study: Study, **changes: Any) -> dict[str, Any]:
    """What the plan's form sends."""
    sent = {name: value for name, value in settings_of(study).items() if value is not None}
    return {**sent, "revision": Plan.objects.get(study=study).revision, **changes}


@pytest.fixture
def study() -> Study:
    return make_published_study(locked=False)


@pytest.fixture
def statistician(study: Study, client: Client) -> User:
    user = make_statistician(study)
    client.force_login(user)
    return user


# --- Plan -----------------------------------------------------------------------------------------


def test_each_fault_of_a_plan_stands_at_its_field_and_nothing_is_saved(
    client: Client, study: Study, statistician: User
) -> None:
    before = settings_of(study)
    sent = posted(study, alpha="0", noise_estimate="noncentral_chi", margin="-1", family="table")
    page = client.post("/studies/published/plan/", sent)
    assert page.status_code == 422
    assert set(page.context["form"].errors) == {"alpha", "channels", "family"}
    sent = posted(study, margin="-1", alpha="0.01")
    errors = client.post("/studies/published/plan/", sent).context["form"].errors
    assert list(errors) == ["margin"]
    assert "positive number" in errors["margin"][0]
    assert settings_of(study) == before
    with pytest.raises(PlanFaults) as refusal:
        do_save_plan(study, statistician, settings_of(study, zeros="keep", decimals=40))
    assert set(refusal.value.faults) == {"zeros", "decimals"}


def test_every_choice_of_the_plan_reaches_the_analysis(
    client: Client, study: Study, statistician: User
) -> None:
    changes: dict[str, Any] = {
        "noise_estimate": "noncentral_chi",
        "channels": 8,
        "beside": ["tissue_sd"],
        "reader_summary": "mean",
        "method": "asymptotic",
        "zeros": "pratt",
        "family": "all",
        "alpha": 0.01,
        "decimals": 4,
        "missing": "complete",
        "margin": 0.5,
        "agreement": ["icc"],
        "sensitivity": ["vgc", "friedman"],
    }
    answer = client.post("/studies/published/plan/", posted(study, **changes))
    assert answer.status_code == 302, answer.context["form"].errors
    sign(study, statistician)
    plan = plan_of(study)
    del changes["channels"]
    for name, value in {**changes, "noise_estimate": "noncentral_chi(8)"}.items():
        got = getattr(plan, name)
        assert (list(got) if isinstance(got, tuple) else got) == value, name


def test_a_signature_asks_for_the_password_and_keeps_name_time_meaning_and_hash(
    client: Client, study: Study, statistician: User
) -> None:
    page = client.get("/studies/published/plan/sign/")
    sha256 = page.context["sha256"]
    sent = {"sha256": sha256, "meaning": "approval", "password": "not my password"}
    refused = client.post("/studies/published/plan/sign/", sent)
    assert refused.status_code == 422
    assert "The password is not right" in refused.content.decode()
    assert "not my password" not in refused.content.decode()
    assert not PlanVersion.objects.exists()
    sent["password"] = PASSWORD
    for _ in range(2):  # sent twice: signed once
        assert client.post("/studies/published/plan/sign/", sent).status_code == 302
    version = PlanVersion.objects.get()
    assert version.sha256 == sha256 == sha256_of(version.document)
    assert (version.number, version.signed_by) == (1, statistician)
    assert version.signed_name == statistician.name
    assert version.meaning == "I have reviewed this plan and approve it."
    assert version.study_state == Study.State.READING
    event = Event.objects.get(action="reports.plan.signed")
    assert event.new["plan_sha256"] == sha256
    document = client.get("/studies/published/plan/versions/1.json").content
    assert settings_from_file(study, document) == settings_of(study)


def test_an_amendment_needs_a_reason_and_both_versions_stay_to_be_compared(
    client: Client, study: Study, statistician: User
) -> None:
    first = sign(study, statistician)
    with pytest.raises(StudyError, match="nothing new to sign"):
        sign(study, statistician)
    do_save_plan(study, statistician, settings_of(study, margin=0.5))
    assert plan_of(study).margin is None  # not signed yet
    with pytest.raises(StudyError, match="amends version 1: give the reason"):
        sign(study, statistician)
    second = sign(study, statistician, reason="The reviewers of the ethics board asked for it.")
    assert (second.number, plan_of(study).margin) == (2, 0.5)
    first.refresh_from_db()
    assert sha256_of(first.document) == first.sha256
    page = client.get("/studies/published/plan/versions/2/?with=1").content.decode()
    assert "Non-inferiority margin" in page
    assert client.get("/studies/published/plan/versions/2/?with=7").status_code == 404
    assert client.get("/studies/published/plan/versions/3/").status_code == 404


def test_a_form_that_was_overtaken_is_told_so_and_keeps_what_was_entered(
    client: Client, study: Study, statistician: User
) -> None:
    sent = posted(study, alpha=0.02)
    shown = client.get("/studies/published/plan/sign/").context["sha256"]
    other = make_coordinator(study)
    do_save_plan(study, other, settings_of(study, family="all"))
    page = client.post("/studies/published/plan/", sent)
    assert page.status_code == 409
    assert f"changed by {other}" in page.content.decode()
    assert page.context["form"]["alpha"].value() == "0.02"
    assert settings_of(study)["alpha"] == 0.05
    signed = client.post(
        "/studies/published/plan/sign/",
        {"sha256": shown, "meaning": "author", "password": PASSWORD},
    )
    assert signed.status_code == 409
    assert not PlanVersion.objects.exists()
    with pytest.raises(StalePlan):
        do_sign_plan(study, statistician, shown_sha256=shown)
    # Read as it stands now and saved again, it is taken.
    again = {**sent, "revision": page.context["form"]["revision"].value()}
    assert client.post("/studies/published/plan/", again).status_code == 302


def test_a_plan_that_names_an_arm_which_is_not_there_is_refused(
    client: Client, study: Study, statistician: User
) -> None:
    document = json.loads(json.dumps(sign(study, statistician).document))
    document["arms"][1] = "QF"
    document["comparisons"] = [
        ["QF" if code == "DF" else code for code in pair] for pair in document["comparisons"]
    ]
    text = json.dumps({"format": "readerstudy-analysis-plan", "version": 1, **document})
    with pytest.raises(StudyError, match="names the arm “QF”, which the study does not have"):
        settings_from_file(study, text.encode())
    for content, words in ((b"{", "no JSON here"), (b"\xff\xfe\x00", "no text in UTF-8")):
        with pytest.raises(StudyError, match=words):
            settings_from_file(study, content)


def test_a_signature_of_a_draft_falls_with_its_design() -> None:
    study = make_study(readers=1)
    sign(study)
    assert plan_of(study).arms
    Arm.objects.filter(study=study, code="DF").update(code="QF")
    with pytest.raises(StudyError, match="names the arm “DF”, which the study does not have"):
        plan_of(study)


def test_who_only_reads_or_has_no_part_writes_no_plan(study: Study) -> None:
    with pytest.raises(PermissionDenied):
        do_save_plan(study, make_reader(make_study("other")), settings_of(study))
    with pytest.raises(PermissionDenied):
        sign(study, make_reader(make_study("another")))


# --- Lock and unlock ------------------------------------------------------------------------------


def test_the_lock_freezes_data_and_open_items_and_an_unlock_leaves_both_on_record(
    client: Client,
) -> None:
    study = make_imaged_study(volunteers=3, readers=2)
    do_launch(study, None)
    read_to_the_end(session_of(study, "R1"))
    coordinator, administrator = make_coordinator(study), make_administrator()
    client.force_login(coordinator)
    page = client.post("/studies/lumbar/lock/", {"confirmed": "on"})
    assert page.status_code == 422
    assert "give the reason" in page.content.decode()
    sent = {"confirmed": "on", "reason": "R2 withdrew from the study."}
    assert client.post("/studies/lumbar/lock/", sent).status_code == 302
    again = client.post("/studies/lumbar/lock/", sent)
    assert "locked already, since 20" in again.content.decode()
    lock_row = Locking.objects.get()
    assert (lock_row.locked_by, lock_row.reason) == (coordinator, "R2 withdrew from the study.")
    assert lock_row.open_items == [{"reader": "R2", "occasion": 1, "open": 15}]
    snapshot = Snapshot.objects.get()
    assert snapshot.locking == lock_row
    assert {row[2] for row in snapshot.data["scores"]} == {"R1"}
    assert ["Slices", "STD"] in [row[:2] for row in snapshot.data["acquisition"]]
    study.refresh_from_db()
    assert "acquisition" not in masked_report(study).data

    assert client.get("/studies/lumbar/unlock/").status_code == 404
    with pytest.raises(PermissionDenied):
        do_unlock(study, coordinator, "please")
    client.force_login(administrator)
    sent = {"reason": "R2 is well again.", "password": "wrong"}
    assert "not right" in client.post("/studies/lumbar/unlock/", sent).content.decode()
    sent["password"] = PASSWORD
    assert client.post("/studies/lumbar/unlock/", sent).status_code == 302
    assert client.post("/studies/lumbar/unlock/", sent).status_code == 422  # not locked
    study.refresh_from_db()
    assert (study.state, standing_lock(study)) == (Study.State.READING, None)
    assert Unlocking.objects.get().unlocked_by == administrator
    assert Event.objects.get(action="conduct.study.unlocked").why == "R2 is well again."
    read_to_the_end(session_of(study, "R2"))
    do_lock(study, coordinator)
    study.refresh_from_db()
    assert [row.number for row in Locking.objects.all()] == [1, 2]
    assert {row[2] for row in masked_report(study).frames[0].to_numpy()} == {"R1", "R2"}


def test_a_study_whose_key_is_open_stays_locked(study: Study) -> None:
    lock(study)
    unblind(study)
    study.refresh_from_db()
    with pytest.raises(StudyError, match="stays locked"):
        do_unlock(study, make_administrator(), "one more score")


# --- Unblinding -----------------------------------------------------------------------------------


def test_the_page_of_the_key_asks_for_everything_and_opens_it_once(
    client: Client, study: Study, statistician: User
) -> None:
    page = client.get("/studies/published/results/unblind/")
    assert page.status_code == 200
    assert "Unblind</button>" not in page.content.decode()
    lock(study)
    version = sign(study, statistician)
    page = client.get("/studies/published/results/unblind/")
    assert Snapshot.objects.get().sha256 not in page.content.decode()
    sent = {"plan_sha256": version.sha256, "reason": "Reviewed.", "password": PASSWORD}
    assert client.post(page.wsgi_request.path, sent).status_code == 422  # not confirmed
    sent["confirmed"] = "on"
    wrong = client.post(page.wsgi_request.path, {**sent, "password": "wrong"})
    assert "The password is not right" in wrong.content.decode()
    field = re.search(r'<input[^>]*name="password"[^>]*>', wrong.content.decode())
    assert field
    assert " autofocus" in field[0]  # else the page opens at its top, as if nothing had happened
    do_save_plan(study, statistician, settings_of(study, alpha=0.01))
    newer = sign(study, statistician, reason="Stricter.")
    stale = client.post(page.wsgi_request.path, sent)
    assert "version 2 stands now" in stale.content.decode()
    assert not Unblinding.objects.exists()
    sent["plan_sha256"] = newer.sha256
    for _ in range(2):
        assert client.post(page.wsgi_request.path, sent).status_code == 302
    opened = Unblinding.objects.get()
    assert (opened.plan_version, opened.by) == (newer, statistician)
    assert named_report(Study.objects.get(pk=study.pk)).plan.alpha == 0.01
    assert client.get(page.wsgi_request.path).status_code == 200


def test_coordinators_and_readers_get_no_page_of_the_key(client: Client, study: Study) -> None:
    lock(study)
    client.force_login(make_coordinator(study))
    for path in ("unblind", "exclusions"):
        assert client.get(f"/studies/published/results/{path}/").status_code == 403


def test_wrong_passwords_lock_out_as_at_the_door(
    client: Client, study: Study, statistician: User
) -> None:
    sha256 = client.get("/studies/published/plan/sign/").context["sha256"]
    sent = {"sha256": sha256, "meaning": "author", "password": "a guess"}
    for _ in range(12):
        page = client.post("/studies/published/plan/sign/", sent)
    assert "Too many failed attempts" in page.content.decode()
    page = client.post("/studies/published/plan/sign/", {**sent, "password": PASSWORD})
    assert page.status_code == 422
    assert not PlanVersion.objects.exists()


# --- Post hoc -------------------------------------------------------------------------------------


def test_a_plan_signed_with_the_key_open_is_post_hoc_wherever_its_results_appear(
    study: Study, statistician: User
) -> None:
    lock(study)
    unblind(study, statistician)
    study.refresh_from_db()
    before = named_report(study)
    do_save_plan(study, statistician, settings_of(study, family="column", margin=0.5))
    sign(study, statistician, reason="A reviewer asked.")
    assert named_report(study).plan == before.plan  # the planned results stay the first ones
    assert (before.post_hoc, before.plan_query) == ("", "")
    late = named_report(study, 2)
    assert late.plan.family == "column"
    assert late.post_hoc.startswith("POST HOC: analysis plan version 2")
    assert "A reviewer asked." in late.post_hoc
    assert late.notice.startswith(late.post_hoc)
    assert late.plan_query == "?plan=2"
    with pytest.raises(StudyError, match="no version 9"):
        named_report(study, 9)


# --- Left out -------------------------------------------------------------------------------------


def test_a_volunteer_left_out_after_the_lock_stands_beside_the_results_not_in_their_place(
    client: Client, study: Study, statistician: User
) -> None:
    with pytest.raises(StudyError, match="Lock the study first"):
        do_exclude(study, statistician, "volunteer", "V01", "moved")
    lock(study)
    study.refresh_from_db()
    frozen = Snapshot.objects.get().sha256
    whole = masked_report(study)
    sent = {"who": f"volunteer:{whole.volunteers[0]}", "reason": "Moved; seen after the lock."}
    path = "/studies/published/results/exclusions/"
    assert client.post(path, {"who": "volunteer:V99", "reason": "x"}).status_code == 422
    assert client.post(path, {**sent, "reason": ""}).status_code == 422
    assert client.post(path, sent).status_code == 302
    twice = client.post(path, sent)
    assert "excluded already" in twice.content.decode()
    exclusion = Exclusion.objects.get()
    assert not exclusion.is_post_hoc
    assert Event.objects.get(action="reports.exclusion.made").why == "Moved; seen after the lock."
    assert Snapshot.objects.get().sha256 == frozen
    assert masked_report(study).data_sha256 == whole.data_sha256
    less = without(whole, [exclusion])
    assert set(whole.volunteers) - set(less.volunteers) == {exclusion.code}
    assert f"Sensitivity analysis without volunteer {exclusion.code}" in less.notice
    rows = with_and_without(whole, less)
    assert len(rows) == len(whole.results.tests)
    assert {(row.whole.n, row.less.n) for row in rows} == {(10, 9)}
    assert "With and without" in client.get(path).content.decode()
    do_take_back(exclusion, statistician, "It was another volunteer.")
    with pytest.raises(StudyError, match="taken back already"):
        do_take_back(exclusion, statistician, "again")
    assert "With and without</h2>" not in client.get(path).content.decode()
    unblind(study, statistician)
    study.refresh_from_db()
    late = do_exclude(study, statistician, "reader", "R2", "Not trained.")
    found = without(named_report(study), [late])
    assert found.notice.startswith("POST HOC: sensitivity analysis without reader R2")
    assert found.readers == ["R1", "R3"]


def test_a_criterion_that_was_never_scored_and_a_reader_who_withdrew_break_nothing() -> None:
    study = make_imaged_study(volunteers=3, readers=2)
    do_launch(study, None)
    session = session_of(study, "R1")
    read_to_the_end(session)
    do_lock(study, None, "R2 withdrew from the study.")
    study.refresh_from_db()
    report = masked_report(study)
    assert report.readers == ["R1"]
    assert report.data["never_submitted"] == 15
    snapshot = Snapshot.objects.get()
    data = {
        **snapshot.data,
        "scores": [row for row in snapshot.data["scores"] if row[3] != "sharpness"],
    }
    found = computed(data, plan_of(study), "", False)
    tests = found.results.tests[found.results.tests["row"] == "sharpness"]
    assert set(tests["n"]) == {0}
    assert tests["q"].isna().all()
    said = [w.text for w in found.results.warnings if w.row == "sharpness"]
    assert any("no test was done" in text for text in said)
    with pytest.raises(StudyError, match="Sign the analysis plan first"):
        do_unblind(study, None, "now")


def test_every_file_of_a_post_hoc_plan_says_so_and_of_the_planned_one_does_not(
    client: Client, study: Study, statistician: User
) -> None:
    lock(study)
    unblind(study, statistician)
    study.refresh_from_db()
    do_exclude(study, statistician, "volunteer", "V01", "Moved.")
    do_save_plan(study, statistician, settings_of(study, family="column", margin=0.5))
    sign(study, statistician, reason="A reviewer asked.")
    planned = bundle_files(study, named_report(study))
    late = bundle_files(study, named_report(study, 2))
    mark = "POST HOC"
    data = {"ratings_long", "ratings_wide", "roi_long", "derived_long", "dictionary"}
    for name, content in late.items():
        stem, _, kind = name.rpartition("/")[2].rpartition(".")
        if name.startswith("scripts/") and kind == "csv":
            continue  # plain data, which the scripts beside them read
        if stem in data or kind in {"svg", "png", "sav", "dta"}:
            continue  # data; of the figures the PDF tells, whose words are words
        if name in {"plan.json", "plan_canonical.json", "data.json", "SHA256SUMS"}:
            continue
        assert any(mark in text for _, text in texts_of(name, content)), name
    for name, content in planned.items():
        told = any(mark in text for _, text in texts_of(name, content))
        assert told == (name in {"tests_without_excluded.csv", "results.xlsx"}), name
    drafts = {
        name: " ".join(text for _, text in texts_of("", files["drafts/methods_and_results.docx"]))
        for name, files in (("planned", planned), ("late", late))
    }
    assert "its results are exploratory" in drafts["late"]
    assert "was signed by The platform itself" in drafts["planned"]
    assert "before the unblinding" in drafts["planned"]
    assert "Volunteer V01 was left out of a sensitivity analysis" in drafts["planned"]
    assert json.loads(late["manifest.json"])["post_hoc"].startswith(mark)
    assert json.loads(late["results.json"])["post_hoc"].startswith(mark)
    assert late["figures/figure3.svg"] != planned["figures/figure3.svg"]
    page = client.get("/studies/published/results/?plan=2")
    assert mark in page.content.decode()
    assert mark not in client.get("/studies/published/results/").content.decode()
    answer = client.get("/studies/published/results/files/tests.csv?plan=2")
    assert "_post-hoc-plan-2_tests.csv" in answer.headers["Content-Disposition"]
    assert mark in answer.content.decode()
    assert client.get("/studies/published/results/files/tests.csv?plan=7").status_code == 404
    assert Event.objects.filter(action="reports.export.downloaded").last().new["post_hoc"]
