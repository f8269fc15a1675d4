"""Bundles made in the background, single files, the API, and import with mapping."""

from __future__ import annotations

import errno
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyreadstat
import pytest
from django.core.files.storage import FileSystemStorage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client
from django.utils import timezone
from openpyxl import Workbook, load_workbook

from readerstudy.accounts.models import User
from readerstudy.audit.models import Event
from readerstudy.jobs.models import Job, WorkerProcess
from readerstudy.jobs.selectors import NO_WORKER
from readerstudy.jobs.worker import run_pending
from readerstudy.reading.models import ScoreRevision
from readerstudy.reports.api.tokens import do_create_token, do_revoke_token
from readerstudy.reports.bundles.contents import parts_of
from readerstudy.reports.export_models import ApiToken, Export
from readerstudy.reports.report import masked_report, named_report
from readerstudy.studies.models import Membership, Study
from readerstudy.studies.services import do_remove_member
from tests.factories import make_coordinator, make_statistician, make_study
from tests.reports.published import ARMS, SCORES, golden_rows, make_published_study, unblind

pytestmark = pytest.mark.django_db


@pytest.fixture
def study() -> Study:
    return make_published_study()


def opened(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name.split("/", 1)[1]: archive.read(name) for name in archive.namelist()}


def check_no_file_names_an_arm(files: dict[str, bytes]) -> None:
    for name, content in files.items():
        if name.endswith((".docx", ".xlsx")):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                content = b"".join(archive.read(part) for part in archive.namelist())
        elif name.endswith(".json"):
            content = json.dumps(json.loads(content), ensure_ascii=False).encode()
        text = content.decode("utf-8", errors="ignore")
        for code, arm in ARMS.items():
            # "standard" is an English word too, as in the reference standard of CLAIM.
            assert arm == "standard" or arm not in text, (name, arm)
            assert f'"{code}"' not in text, (name, code)
    assert not {"arms.csv", "plan.json", "tables/table1.csv"} & set(files)


def test_spss_and_stata_files_open_with_labels_and_the_workbook_opens(
    study: Study, tmp_path: Path
) -> None:
    unblind(study, None, "reviewed")
    study.refresh_from_db()
    makers = parts_of(study, named_report(study))["SPSS, Stata and spreadsheet files"]
    for kind, read in (("sav", pyreadstat.read_sav), ("dta", pyreadstat.read_dta)):
        path = tmp_path / f"ratings.{kind}"
        path.write_bytes(makers[f"ratings_long.{kind}"]())
        frame, meta = read(path)
        assert len(frame) == len(golden_rows(SCORES))
        assert meta.column_names_to_labels["arm"] == "Arm"
        assert "DLR-double-fast (DLR_DF)" in meta.variable_value_labels["arm"].values()
    book = load_workbook(io.BytesIO(makers["results.xlsx"]()))
    assert book.sheetnames[:4] == ["readme", "ratings", "ratings wide", "roi"]
    assert book["tests"].max_row == len(named_report(study).results.tests) + 1


def test_a_bundle_is_made_by_the_worker_once_and_downloaded(study: Study, client: Client) -> None:
    user = make_statistician(study)
    client.force_login(user)
    for _ in range(2):
        assert client.post("/studies/published/results/export/new/").status_code == 302
    assert Job.objects.filter(kind="reports.export").count() == 1
    page = client.get("/studies/published/results/export/").content.decode()
    assert NO_WORKER in page
    now = timezone.now()
    WorkerProcess.objects.create(host="a", pid=1, queues="cpu gpu", started_at=now, seen_at=now)
    page = client.get("/studies/published/results/export/").content.decode()
    assert "Waiting: the worker takes it up in a moment." in page
    run_pending()
    export = Export.objects.get()
    assert export.job is not None
    assert export.job.state == Job.State.SUCCEEDED, export.job.error
    assert export.job.progress_done == export.job.progress_total > 5
    address = f"/studies/published/results/export/{export.pk}/bundle.zip"
    answer: Any = client.get(address)
    content = b"".join(answer.streaming_content)
    check_no_file_names_an_arm(opened(content))
    assert Event.objects.filter(action="reports.export.downloaded").count() == 1
    Export.objects.update(path=f"{export.path}.away")
    assert client.get(address).status_code == 404
    assert Event.objects.filter(action="reports.export.downloaded").count() == 1  # none was had
    Export.objects.update(path=export.path)
    coordinator = make_coordinator(study)
    client.force_login(coordinator)
    assert client.get(address).status_code == 404
    single = "/studies/published/results/export/files/figures/figure3.svg"
    assert client.get(single).status_code == 404
    client.force_login(user)
    assert client.get(single).content == opened(content)["figures/figure3.svg"]


def test_a_full_storage_is_told_at_once_and_stores_no_bundle(
    study: Study, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> str:
        raise OSError(errno.ENOSPC, "The object store is full.")

    client.force_login(make_statistician(study))
    client.post("/studies/published/results/export/new/")
    monkeypatch.setattr(FileSystemStorage, "_save", full)
    run_pending()
    job = Job.objects.get(kind="reports.export")
    assert (job.state, job.attempts) == (Job.State.FAILED, 1)
    page = client.get("/studies/published/results/export/").content.decode()
    assert "The storage is full" in page
    assert "ask for it again" in page


def test_an_open_study_gives_no_export(client: Client) -> None:
    study = make_published_study("open", locked=False)
    client.force_login(make_statistician(study))
    answer = client.post("/studies/open/results/export/new/", follow=True)
    assert "Lock the study first" in answer.content.decode()
    assert not Export.objects.exists()


def test_a_token_opens_one_study_read_only_while_it_and_its_person_stand(
    study: Study, client: Client
) -> None:
    user = make_statistician(study)
    token, text = do_create_token(study, user, "notebook", 30)
    other = make_published_study("other")
    bearer = {"Authorization": f"Bearer {text}"}
    root = "/api/v1/studies/published/"
    assert client.get(root).status_code == 401
    found = client.get(root, headers=bearer).json()
    assert (found["arms"], found["state"]) == ("letters", "locked")
    frame = pd.read_csv(io.BytesIO(client.get(f"{root}files/tests.csv", headers=bearer).content))
    assert len(frame) == len(masked_report(study).results.tests)
    assert client.get(f"{root}results/", headers=bearer).json()["format"]
    assert client.get(f"{root}files/no.csv", headers=bearer).status_code == 404
    assert client.get(f"/api/v1/studies/{other.slug}/", headers=bearer).status_code == 404
    strict = Client(enforce_csrf_checks=True)
    for method in (strict.post, strict.delete):
        refused = method(root, headers=bearer)
        assert (refused.status_code, refused.headers["Allow"]) == (405, "GET, HEAD")
        assert "reads only" in refused.json()["error"]
    assert "no such address" in client.get("/api/v1/no/", headers=bearer).json()["error"]
    assert client.get("/api/v1/no/").json()["error"].startswith("This needs a valid token")
    schema = client.get("/api/v1/openapi.json", headers=bearer).json()
    assert schema["openapi"] == "3.1.0"
    assert text not in json.dumps(list(Event.objects.values()), default=str)
    # Revoked, over, of an account switched off, of somebody without the role: no address opens.
    names = ("", "results/", "files/tests.csv", "bundle.zip")
    addresses = [*(root + name for name in names), "/api/v1/openapi.json"]
    standing = ApiToken.objects.filter(pk=token.pk)
    ends: list[Callable[[], object]] = [
        lambda: do_revoke_token(study, user, token.pk),
        lambda: standing.update(expires_at=timezone.now()),
        lambda: User.objects.filter(pk=user.pk).update(is_active=False),
        lambda: do_remove_member(Membership.objects.get(user=user, study=study), None),
    ]
    for end in ends:
        assert client.get(addresses[-1], headers=bearer).status_code == 200
        with transaction.atomic():
            end()
            for address in addresses:
                refused = client.get(address, headers=bearer)
                assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
                assert refused.json()["error"].startswith("This needs a valid token"), address
            transaction.set_rollback(True)


def workbook_of(rows: list[dict[str, str]], headings: dict[str, str]) -> Workbook:
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.append([headings[name] for name in rows[0]])
    for row in rows:
        sheet.append([float(v) if n in {"score"} else v for n, v in row.items()])
    return book


def saved(book: Workbook) -> SimpleUploadedFile:
    buffer = io.BytesIO()
    book.save(buffer)
    return SimpleUploadedFile("old.xlsx", buffer.getvalue())


def test_a_workbook_with_its_own_headings_and_words_comes_in_through_the_mapping(
    client: Client,
) -> None:
    study = make_study("old")
    client.force_login(make_coordinator(study))
    address = "/studies/old/import/mapped/"
    rows = [
        {**row, "sequence": row["sequence"].replace("STD", "Norm")} for row in golden_rows(SCORES)
    ]
    headings = {name: f"Spalte {name}" for name in rows[0]}
    book = workbook_of(rows, headings)
    page = client.post(address, {"kind": "scores", "file": saved(book)})
    assert page.status_code == 200, page.content.decode()
    kept = page.context["kept"]
    form = {"kind": "scores", "kept": kept, "import": "1"}
    form |= {f"column-{name}": heading for name, heading in headings.items()}
    wrong = client.post(address, {**form, "column-score": ""})
    assert wrong.status_code == 422
    assert "Say which column" in wrong.content.decode()
    unknown = client.post(address, form)
    assert unknown.status_code == 422
    assert not ScoreRevision.objects.exists()
    form |= {"word-sequence-1": "Norm", "code-sequence-1": "STD"}
    del form["import"]
    looked = client.post(address, {**form, "check": "1"})
    assert not ScoreRevision.objects.exists()
    assert ("Arm", "Spalte sequence") in looked.context["would_write"].parts[0].headings
    sent = {**dict(looked.context["carried"]), "import": "1"}
    assert client.post(address, sent).status_code == 302
    assert ScoreRevision.objects.count() == len(rows)


def test_a_formula_in_a_workbook_is_refused_by_its_cell(client: Client) -> None:
    study = make_study("formula")
    client.force_login(make_coordinator(study))
    book = Workbook()
    book.worksheets[0].append(["case", "sequence"])
    book.worksheets[0].append(["V01", "=HYPERLINK(1)"])
    page = client.post("/studies/formula/import/mapped/", {"kind": "scores", "file": saved(book)})
    assert page.status_code == 422
    assert "B2" in page.content.decode()
    assert "formula" in page.content.decode()


def test_a_table_with_one_column_a_criterion_comes_in_and_faults_name_its_own_lines(
    client: Client,
) -> None:
    study = make_study("wide")
    client.force_login(make_coordinator(study))
    address = "/studies/wide/import/mapped/"
    rows = [
        {"Patient": f"V{n:02d}", "Arm": arm, "Rater": "R1", "Overall image quality": str(3 + n % 2)}
        for n in range(1, 7)
        for arm in ("STD", "DF")
    ]
    rows[3]["Overall image quality"] = ""  # missing
    rows[6]["Overall image quality"] = "9"

    def csv_of(rows: list[dict[str, str]]) -> SimpleUploadedFile:
        lines = [",".join(rows[0]), "", *(",".join(row.values()) for row in rows)]
        return SimpleUploadedFile("old.csv", "\n".join(lines).encode())

    page = client.post(address, {"kind": "wide", "file": csv_of(rows)})
    chosen = {ours: theirs for ours, _, theirs, _ in page.context["columns"] if theirs}
    assert chosen == {
        "case": "Patient",
        "sequence": "Arm",
        "reader": "Rater",
        "score_of_overall": "Overall image quality",
    }
    form = {"kind": "wide", "import": "1", **{f"column-{o}": t for o, t in chosen.items()}}
    refused = client.post(address, {**form, "kept": page.context["kept"]})
    assert refused.status_code == 422
    assert [(fault.line, fault.column) for fault in refused.context["faults"]] == [(9, "score")]
    none = {**form, "kept": page.context["kept"], "column-score_of_overall": ""}
    assert "one criterion or more" in client.post(address, none).content.decode()
    assert not ScoreRevision.objects.exists()
    rows[6]["Overall image quality"] = "4"
    page = client.post(address, {"kind": "wide", "file": csv_of(rows)})
    assert client.post(address, {**form, "kept": page.context["kept"]}).status_code == 302
    assert ScoreRevision.objects.count() == len(rows) - 1
    assert set(ScoreRevision.objects.values_list("criterion__code", flat=True)) == {"overall"}
