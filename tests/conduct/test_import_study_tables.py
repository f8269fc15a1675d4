"""Bringing a finished study in from spreadsheets."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from readerstudy.audit.models import Event
from readerstudy.conduct.imports import ImportReport, do_import_study_tables
from readerstudy.imaging.models import Volunteer
from readerstudy.measurements.models import Measurement
from readerstudy.reading.models import Item, ScoreRevision, Session
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Study
from readerstudy.studies.tables import TableError, TableFile
from tests.factories import make_coordinator, make_reader, make_statistician, make_study
from tests.reports.published import (
    FOLDER,
    REGIONS,
    SCORES,
    golden_file,
    golden_rows,
    import_golden,
    lock,
)

pytestmark = pytest.mark.django_db

HEADING = "case,sequence,reader,criterion,score"
REGION_HEADING = "case,sequence,roi,mean,sd,n_pixels,area_mm2"


def scores(*lines: str, heading: str = HEADING, name: str = "scores.csv") -> TableFile:
    return TableFile(name, "\n".join([heading, *lines]).encode())


def regions(*lines: str, heading: str = REGION_HEADING) -> TableFile:
    return TableFile("regions.csv", "\n".join([heading, *lines]).encode())


def faults_of(study: Study, **files: TableFile) -> list[str]:
    with pytest.raises(TableError) as caught:
        do_import_study_tables(study, None, **files)
    return [str(fault) for fault in caught.value.faults]


def nothing_written() -> bool:
    return not (
        Volunteer.objects.exists()
        or Session.objects.exists()
        or Item.objects.exists()
        or Measurement.objects.exists()
    )


def test_the_golden_tables_come_in_whole() -> None:
    study = make_study()
    report = import_golden(study)
    assert report == ImportReport(10, 10, 900, ["R1", "R2", "R3"], 350, [])
    stored = {
        (s.item.volunteer.code, s.item.arm.code, s.item.session.reader_code, s.criterion.code): (
            s.value,
            s.revision,
        )
        for s in ScoreRevision.objects.select_related(
            "item__volunteer", "item__arm", "item__session", "criterion"
        )
    }
    assert stored == {
        (r["case"], r["sequence"], r["reader"], r["criterion"]): (int(r["score"]), 1)
        for r in golden_rows(SCORES)
    }
    measured = {
        (m.volunteer.code, m.arm.code, m.tissue.code): (m.mean, m.sd, m.n_pixels, m.area_mm2)
        for m in Measurement.objects.select_related("volunteer", "arm", "tissue")
    }
    assert measured == {
        (r["case"], r["sequence"], r["roi"]): (
            float(r["mean"]),
            float(r["sd"]),
            int(r["n_pixels"]),
            float(r["area_mm2"]),
        )
        for r in golden_rows(REGIONS)
    }
    assert set(Measurement.objects.values_list("origin", flat=True)) == {"imported"}
    sessions = Session.objects.filter(study=study)
    assert all(s.is_imported and s.reader is None and s.completed_at for s in sessions)
    assert not Item.objects.filter(submitted_at=None).exists()


def test_imported_scores_freeze_the_protocol_and_draw_a_letter_for_each_arm() -> None:
    study = make_study()
    import_golden(study)
    study.refresh_from_db()
    assert study.state == Study.State.READING
    assert study.protocol_sha256
    assert sorted(study.arm_letters) == ["DF", "DLR_DF", "DLR_TF", "STD", "TF"]
    assert sorted(study.arm_letters.values()) == ["A", "B", "C", "D", "E"]


def test_each_study_draws_its_own_letters() -> None:
    drawn = set()
    for number in range(12):
        study = make_study(f"study-{number}")
        do_import_study_tables(study, None, scores=scores("V01,STD,R1,overall,3"))
        study.refresh_from_db()
        drawn.add(tuple(sorted(study.arm_letters.items())))
    # Of 120 orders: fewer than seven different ones in twelve draws would be no chance.
    assert len(drawn) > 6


def test_the_trail_holds_the_import_and_its_files_but_no_score_and_no_letter() -> None:
    study = make_study()
    coordinator = make_coordinator(study)
    import_golden(study, coordinator)
    events = {e.action: e for e in Event.objects.filter(study_id=study.pk, actor=coordinator)}
    assert events["reading.scores.imported"].new["scores"] == 900
    assert events["measurements.regions.imported"].new["measurements"] == 350
    assert len(events["reading.scores.imported"].new["sha256"]) == 64
    assert set(events["conduct.study.frozen_by_import"].new) == {"protocol_sha256"}


def test_regions_alone_leave_the_study_a_draft() -> None:
    study = make_study()
    do_import_study_tables(study, None, regions=golden_file(REGIONS))
    study.refresh_from_db()
    assert study.is_draft
    do_import_study_tables(study, None, scores=golden_file(SCORES))
    assert Volunteer.objects.filter(study=study).count() == 10


def test_a_semicolon_file_with_a_mark_decimal_commas_and_names_is_the_same() -> None:
    study = make_study()
    text = (
        "\ufeffVolunteer;Arm;Rater;Criterion;Rating\r\n"
        "V01;DLR-double-fast;R1;Overall image quality;4\r\n\r\n"
        "V01;dlr_tf;R1;OVERALL;5,0\r\n"
    )
    measured = (
        "sep=;\nVolunteer;Arm;Tissue;Mean;SD;n pixels;Area (mm²)\n"
        "V01;STD;Fat;517,875;60,73;45;29,7\n"
    )
    do_import_study_tables(
        study,
        None,
        scores=TableFile("a.csv", text.encode("utf-8")),
        regions=TableFile("b.csv", measured.encode("utf-8")),
    )
    assert list(
        ScoreRevision.objects.values_list("item__arm__code", "criterion__code", "value")
    ) == [
        ("DLR_DF", "overall", 4),
        ("DLR_TF", "overall", 5),
    ]
    measurement = Measurement.objects.get()
    assert (measurement.mean, measurement.sd, measurement.n_pixels) == (517.875, 60.73, 45)


def test_every_fault_of_both_files_is_named_with_its_place_and_nothing_is_written() -> None:
    study = make_study()
    found = faults_of(
        study,
        scores=scores(
            "V01,STD,R1,overall,3",
            "V01,XX,R1,overall,3",
            "V01,DF,R1,beauty,3",
            "V01,DF,R1,overall,6",
            "V01,DF,R2,overall,good",
            "V01,DF,R2,overall,3.5",
            "V01,STD,R1,overall,4",
            "=1+1,DF,R3,overall,",
        ),
        regions=regions(
            "V01,STD,liver,1,2,45,29.7",
            "V01,STD,fat,nan,2,45,29.7",
            "V01,STD,air,1,0,45,29.7",
            "V01,STD,csf,1,-2,1,0",
        ),
    )
    assert found == [
        "scores.csv, line 3, column “sequence”: “XX” is no arm of the study. "
        "Use one of: STD, DF, DLR_DF, TF, DLR_TF.",
        "scores.csv, line 4, column “criterion”: “beauty” is no criterion of the study. Use one "
        "of: perceived_snr, sharpness, contrast, structure_visibility, artifact, overall.",
        "scores.csv, line 5, column “score”: 6 is out of range. "
        "Scores go from 1 to 5; leave out the line of a missing score.",
        "scores.csv, line 6, column “score”: “good” is no whole number. "
        "Scores go from 1 to 5; leave out the line of a missing score.",
        "scores.csv, line 7, column “score”: “3.5” is no whole number. "
        "Scores go from 1 to 5; leave out the line of a missing score.",
        "scores.csv, line 8: V01, STD, R1, overall already stands in line 2: keep one of them.",
        "scores.csv, line 9, column “case”: “=1+1” is no code: "
        "use up to 30 letters, digits, hyphens and underscores.",
        "scores.csv, line 9, column “score”: The cell is empty. "
        "Scores go from 1 to 5; leave out the line of a missing score.",
        "regions.csv, line 2, column “roi”: “liver” is no tissue of the study. "
        "Use one of: fat, csf, vertebra, disc, cord, muscle, air.",
        "regions.csv, line 3, column “mean”: “nan” is no number. "
        "Write it with a decimal point, for example 517.9.",
        "regions.csv, line 4, column “sd”: The SD of the air is zero, so no SNR can be computed: "
        "the background was masked or clipped. Measure it where there is noise.",
        "regions.csv, line 5, column “n_pixels”: 1 is out of range. "
        "Give the number of pixels, 2 or more.",
        "regions.csv, line 5, column “sd”: A standard deviation cannot be negative.",
        "regions.csv, line 5, column “area_mm2”: An area is greater than zero.",
    ]
    assert nothing_written()
    assert not Event.objects.filter(action="reading.scores.imported").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "scores.csv: The file is empty."),
        (HEADING.encode(), "scores.csv: The file has a heading but no rows."),
        (
            b"PK\x03\x04rest",
            "scores.csv: This is a spreadsheet file. Save the sheet as “CSV UTF-8” and give that "
            "file.",
        ),
        (
            b"case,sequence,reader,criterion,score\nV01,STD,R\xe9,overall,3",
            "scores.csv, line 2: The text is not UTF-8. Save it as “CSV UTF-8”.",
        ),
        (
            b"case,sequence,reader,score\nV01,STD,R1,3",
            "scores.csv, line 1, column “criterion”: The column is missing. Head it “criterion”; "
            "the file has: case, sequence, reader, score.",
        ),
        (
            b"case,volunteer,sequence,reader,criterion,score\nV01,V01,STD,R1,overall,3",
            "scores.csv, line 1, column “case”: More than one column is headed so: "
            "keep one of them.",
        ),
        (
            b"case,sequence,reader,criterion,score\nV01,STD,R1,overall,3,4",
            "scores.csv, line 2: The line has 6 cells, the heading 5. "
            "Put text that holds the separator in quotation marks.",
        ),
    ],
)
def test_a_file_that_is_no_table_is_refused_with_the_reason(content: bytes, message: str) -> None:
    assert faults_of(make_study(), scores=TableFile("scores.csv", content)) == [message]
    assert nothing_written()


def test_what_is_missing_and_what_was_not_used_is_noted() -> None:
    report = do_import_study_tables(
        make_study(),
        None,
        scores=scores(
            "V01,STD,R1,overall,3,ok",
            "V01,DF,R1,overall,3,",
            "V02,DF,R1,overall,3,",
            heading=HEADING + ",remark",
        ),
    )
    assert report.notes == [
        "Columns that were not used: remark.",
        "scores.csv: 1 of 4 rows of a complete table (volunteer × arm × reader × criterion) are "
        "not there. The results say what each number rests on.",
    ]


def test_the_same_table_twice_is_refused() -> None:
    study = make_study()
    import_golden(study)
    assert faults_of(study, scores=golden_file(SCORES)) == [
        f"{SCORES}, column “reader”: The scores of {code} were imported before."
        for code in ("R1", "R2", "R3")
    ]
    twice = faults_of(study, regions=golden_file(REGIONS))
    assert len(twice) == 350
    assert twice[0].startswith(f"{REGIONS}, line 2: V01, STD, air is already measured")
    assert ScoreRevision.objects.count() == 900


def test_a_launched_study_takes_no_new_volunteer_and_no_scores_beside_its_own() -> None:
    study = make_study()
    do_import_study_tables(study, None, scores=scores("V01,STD,R1,overall,3"))
    assert faults_of(study, scores=scores("V02,STD,R2,overall,3")) == [
        "scores.csv, column “case”: V02 is no volunteer of this launched study."
    ]
    Session.objects.create(study=study, reader_code="R9")
    (fault,) = faults_of(study, scores=scores("V01,STD,R2,overall,3"))
    assert "reading sessions of its own" in fault


def test_a_locked_study_takes_nothing() -> None:
    study = make_study()
    do_import_study_tables(study, None, scores=scores("V01,STD,R1,overall,3"))
    lock(study)
    with pytest.raises(StudyError, match="is locked"):
        do_import_study_tables(study, None, regions=regions("V01,STD,fat,1,2,45,29.7"))


def test_pages_that_stay_empty_in_an_imported_study_say_why() -> None:
    study = make_study()
    import_golden(study)
    client = Client()
    client.force_login(make_coordinator(study))
    for address, words in {
        "uploads": "The scores or measurements of this study were brought in as tables",
        "regions": "The measurements of this study were brought in as a table",
        "readiness_people": "their readers are known by code alone",
        "readiness_parameters": "no header says how the arms were acquired",
        "readiness": "imported",
    }.items():
        assert words in client.get(reverse(address, args=[study.slug])).content.decode(), address


def test_a_file_too_large_is_refused_unread() -> None:
    big = TableFile("scores.csv", b"x" * (10 * 1024**2 + 1))
    assert faults_of(make_study(), scores=big) == ["scores.csv: The file is larger than 10 MB."]


def test_only_coordinators_import() -> None:
    study = make_study()
    for person in (make_reader(study), make_statistician(study)):
        with pytest.raises(PermissionDenied):
            do_import_study_tables(study, person, scores=golden_file(SCORES))
    assert nothing_written()


def test_the_command_imports_and_reports() -> None:
    make_study("published", "Published tables")
    out = StringIO()
    call_command(
        "import_study_tables",
        "Published tables",
        scores=FOLDER / SCORES,
        regions=FOLDER / REGIONS,
        stdout=out,
    )
    assert out.getvalue() == (
        "Published tables: 10 volunteers (10 new), 900 scores, 350 region measurements.\n"
    )


def test_the_command_lists_the_faults_and_fails(tmp_path: Path) -> None:
    make_study("published")
    bad = tmp_path / "bad.csv"
    bad.write_text(HEADING + "\nV01,XX,R1,overall,9\n")
    errors = StringIO()
    with pytest.raises(CommandError, match="Nothing was imported: 2 faults"):
        call_command("import_study_tables", "published", scores=bad, stderr=errors)
    assert "bad.csv, line 2, column “sequence”" in errors.getvalue()
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("import_study_tables", "published", scores=tmp_path / "none.csv")
    with pytest.raises(CommandError, match="There is no study"):
        call_command("import_study_tables", "nowhere", scores=bad)
