"""Before unblinding nothing names an arm; the numbers are the same ones."""

from __future__ import annotations

import io
import json
import re
import struct
import uuid
import zipfile
import zlib
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client

from analysis import figure_style
from readerstudy.accounts.models import User
from readerstudy.audit.models import Event
from readerstudy.jobs.worker import run_pending
from readerstudy.reports.api.tokens import do_create_token
from readerstudy.reports.export_models import Export
from readerstudy.reports.exports import CSV_FILES
from readerstudy.reports.report import masked_report, named_report
from readerstudy.reports.services import do_take_snapshot
from readerstudy.studies.models import Study
from readerstudy.studies.protocol import sha256_of
from tests.factories import make_statistician
from tests.reports.published import lock, make_published_study, sign, unblind

pytestmark = pytest.mark.django_db

RESULTS = "/studies/published/results/"
# Codes and names of the arms, and what the design would give away.
NAMES = re.compile(
    r"\b(STD|DF|TF|DLR(?!_arms\b)\w*|(?<!reference )standard(?! deviation)|double-fast"
    r"|triple-fast|derived|acquired|is_control|denoised|denoiser)\b",
    re.IGNORECASE,
)
FILES = [f"files/{name}" for name in CSV_FILES] + ["bundle.zip"]
DRAWN = ("figure3", "figure4", "scores", "differences", "bland_altman")
# The bundle holds every figure in every format.
FIGURES = [f"figures/{name}.csv" for name in DRAWN]
FIGURES += [f"figures/figure4.{kind}" for kind in ("svg", "png", "pdf")]
PAGES = [
    *("tests/", "agreement/", "sensitivity/", "readers/", "volunteers/", "?values=medians"),
    *(f"figures/?figure={name}" for name in DRAWN),
    "volunteers/?row=SNR:fat",
    "volunteers/?row=score:sharpness&reader=R2",
    "figures/?figure=figure4&reader=R1&row=score:sharpness",
    "behind/?metric=score&row=sharpness&arm=A",
    "behind/?metric=score&row=sharpness&a=A&b=B",
    "behind/?metric=CNR&row=fat&arm=C",
    "behind/?metric=SNR&row=fat&a=D&b=E&volunteer=V01",
]


@pytest.fixture
def study() -> Study:
    return make_published_study()


@pytest.fixture
def statistician(study: Study, client: Client) -> User:
    user = make_statistician(study, "statistician@example.org")
    client.force_login(user)
    return user


def texts_of(name: str, content: bytes) -> list[tuple[str, str]]:
    """The texts of a response: of a zip, those of its files and their names."""
    if content.startswith(b"\x89PNG"):
        return [(name, "\n".join(png_chunks(content)))]
    if content.startswith(b"%PDF"):
        return [(name, pdf_text(content))]
    if not content.startswith(b"PK"):
        return [(name, content.decode("utf-8", "replace"))]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        found = [(name, "\n".join(archive.namelist()))]
        for entry in archive.namelist():
            found += texts_of(entry, archive.read(entry))
        return found


def pdf_text(content: bytes) -> str:
    """What a PDF says: its own fields, and the strings its pages draw, unpacked."""
    found = [re.sub(rb"stream\r?\n.*?endstream", b"", content, flags=re.DOTALL)]
    for packed in re.findall(rb"stream\r?\n(.*?)\nendstream", content, flags=re.DOTALL):
        try:
            # What packed ends with may look like a part of the line's end: no more is cut off.
            stream = zlib.decompressobj().decompress(packed)
        except zlib.error:
            continue  # a picture
        # A text is drawn in pieces of a few letters, over several lines.
        for block in re.findall(rb"\bBT\b(.*?)\bET\b", stream, flags=re.DOTALL):
            found.append(b"".join(re.findall(rb"\(((?:\\.|[^\\)])*)\)", block)))
    return b"\n".join(found).replace(b"\0", b"").decode("latin-1")  # of UTF-16 the letters


def png_chunks(content: bytes) -> list[str]:
    """The chunks of a PNG with what they hold, but for the pixels themselves."""
    found, at = [], 8
    while at < len(content):
        length, kind = struct.unpack(">I4s", content[at : at + 8])
        body = content[at + 8 : at + 8 + length] if kind != b"IDAT" else b""
        found.append(f"{kind.decode()}: {body.decode('latin-1')}")
        at += length + 12
    return found


def unmasking(path: str, response: Any) -> list[str]:
    """What a response says of an arm, with the words around it: contents, headers, metadata."""
    content = b"".join(response.streaming_content) if response.streaming else response.content
    headers = "\n".join(f"{k}: {v}" for k, v in response.headers.items())
    said = []
    for name, text in [*texts_of(path, content), (path, headers)]:
        # The plan's field is there, but empty: which letters are denoised arms would unmask.
        for found in (NAMES.search(text), re.search(r'"dlr_arms": \[\s*"', text)):
            if found:
                said.append(
                    f"{path}, {name}: {text[max(0, found.start() - 60) : found.end() + 60]}"
                )
    return said


def test_no_page_file_or_figure_names_an_arm_before_unblinding(
    client: Client, study: Study, statistician: User
) -> None:
    client.post(f"{RESULTS}export/new/")
    run_pending()
    made = f"export/{Export.objects.get().pk}/bundle.zip"
    for path in ["", "export/", made, *PAGES, *FILES, *FIGURES]:
        response: Any = client.get(RESULTS + path)
        assert response.status_code == 200, path
        assert unmasking(path, response) == []
    _, token = do_create_token(study, statistician, "notebook", 30)
    bearer = {"Authorization": f"Bearer {token}"}
    for path in ("", "results/", "bundle.zip", "files/tests.csv", "files/figures/figure3.pdf"):
        response = Client().get(f"/api/v1/studies/published/{path}", headers=bearer)
        assert response.status_code == 200, path
        assert unmasking(path, response) == []


@pytest.mark.usefixtures("statistician")
def test_an_arm_is_asked_for_by_its_letter_alone_and_shown_in_no_image(client: Client) -> None:
    for path in (
        "behind/?metric=score&row=sharpness&arm=DF",
        "behind/?metric=score&row=sharpness&a=STD&b=DLR_DF",
        "images/V01/",
        "images/V01/data/",
        "panels/",
        "panels/panels.png",
        f"pixels/{uuid.uuid4()}/0",
    ):
        answer = client.get(RESULTS + path)
        assert answer.status_code == 404, path
        # Nor does the refusal say more than the address did.
        assert not re.search("double-fast|DLR", answer.content.decode().replace("DLR_DF", "")), path


def test_the_words_of_a_pdf_are_read(study: Study) -> None:
    text = pdf_text(masked_report(study).figure("figure3", "pdf"))
    assert "Arm A" in text
    assert "error bars: SD; n = 10 volunteers" in text  # a long one, drawn in many pieces


def test_no_figure_draws_the_name_of_an_arm_before_unblinding(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Words as words, not as outlines, so that they can be searched.
    monkeypatch.setitem(figure_style._STYLE, "svg.fonttype", "none")
    report = replace(masked_report(study), _figures={})
    for name in ("figure3", "figure4"):
        drawing = report.figure(name, "svg").decode()
        assert "Arm A" in drawing
        assert NAMES.search(drawing) is None


def test_the_same_walk_finds_the_names_after_unblinding(
    client: Client, study: Study, statistician: User
) -> None:
    unblind(study, statistician, "reviewed")
    for path in ["", "files/table2.csv", "files/tests.csv", "bundle.zip"]:
        response: Any = client.get(RESULTS + path)
        assert any(NAMES.search(text) for _, text in texts_of(path, response.content)), path


def test_arms_stand_by_letter_and_comparisons_by_their_letters() -> None:
    study = make_published_study(locked=False)
    # Whatever letters were drawn: the order of the arms is never that of the protocol's.
    letters = {"STD": "D", "DF": "A", "DLR_DF": "E", "TF": "B", "DLR_TF": "C"}
    Study.objects.filter(pk=study.pk).update(arm_letters=letters)
    lock(study)
    study.refresh_from_db()
    report = masked_report(study)
    assert report.plan.arms == ("A", "B", "C", "D", "E")
    assert report.plan.comparisons == (("A", "E"), ("B", "C"), ("C", "D"), ("D", "E"))
    assert report.plan.control == "A"
    assert report.plan.dlr_arms == ()
    assert [row[:2] for row in report.data["regions"]] == sorted(
        row[:2] for row in report.data["regions"]
    )


def test_masked_numbers_are_the_named_ones_under_other_labels(
    study: Study, statistician: User
) -> None:
    masked = masked_report(study)
    unblind(study, statistician, "reviewed")
    study.refresh_from_db()
    named = named_report(study)
    letter = study.arm_letters
    cells = {
        (r["metric"], r["row"], r["arm"]): (r["mean"], r["sd"], r["median"])
        for r in masked.results.descriptives.to_dict("records")
    }
    for row in named.results.descriptives.to_dict("records"):
        expected = (row["mean"], row["sd"], row["median"])
        assert cells[row["metric"], row["row"], letter[row["arm"]]] == pytest.approx(expected)
    tests = {
        (r["metric"], r["row"], frozenset((r["a"], r["b"]))): (r["p"], r["q"])
        for r in masked.results.tests.to_dict("records")
    }
    for row in named.results.tests.to_dict("records"):
        pair = frozenset((letter[row["a"]], letter[row["b"]]))
        assert tests[row["metric"], row["row"], pair] == pytest.approx((row["p"], row["q"]))


def test_warnings_that_would_tell_an_arm_wait_for_the_unblinding(
    study: Study, statistician: User
) -> None:
    masked = masked_report(study)
    assert not [w for w in masked.warnings if "DLR" in w.text or (w.arm and not w.metric)]
    assert any("pairs are not ties" in w.text for w in masked.warnings)
    unblind(study, statistician, "reviewed")
    study.refresh_from_db()
    warned = {w.arm for w in named_report(study).warnings if "DLR-processed" in w.text}
    assert warned == {"DLR_DF", "DLR_TF"}


def test_nothing_before_unblinding_lets_the_letters_be_tried_against_a_hash(
    client: Client, study: Study, statistician: User
) -> None:
    """With masked data at hand, a hash of the named data would open the key in 120 tries."""
    snapshot = do_take_snapshot(study, statistician)
    version = sign(study)
    page = client.get(RESULTS).content.decode()
    assert snapshot.sha256 not in page
    assert version.sha256 in page
    assert masked_report(study).data_sha256 in page
    trail = json.dumps(list(Event.objects.values_list("new", flat=True)))
    assert snapshot.sha256 not in trail
    assert sha256_of(masked_report(study).data) in trail
