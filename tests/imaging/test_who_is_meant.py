"""Whose images wait, which arm is meant, and what was sent before."""

from __future__ import annotations

import pytest

from readerstudy.imaging.errors import ImagingError
from readerstudy.imaging.inbox_selectors import inbox_of
from readerstudy.imaging.layout import Layout, Place
from readerstudy.imaging.models import InboxSeries
from readerstudy.imaging.services import do_add_volunteer
from readerstudy.studies.access import Reach
from readerstudy.studies.models import Study
from tests.factories import make_study

from .datasets import as_files, phantom, series
from .test_inbox import named
from .uploading import refusals, send_zip

pytestmark = pytest.mark.django_db


@pytest.fixture
def study() -> Study:
    return make_study()


def test_who_waits_is_told_apart_told_again_and_sent_once(study: Study) -> None:
    files: dict[str, bytes] = {}
    for number, patient in enumerate(["***", "***", "Anonymous", "N04", "N04"]):
        change = named(patient, PatientName="", SeriesNumber=number)
        files |= as_files(series(phantom(2), change=change), f"scans/{number}")
    send_zip(study, files)

    def waiting() -> list[tuple[str, int, bool]]:
        people = inbox_of(Reach(study))
        return [(p.volunteer_guess, len(p.series), p.is_named) for p in people]

    # Nobody's series are no one person's; those of one person share a volunteer.
    assert waiting() == [("", 1, False), ("", 1, False), ("", 1, False), ("", 2, True)]
    # The volunteer may be in the study only since then.
    do_add_volunteer(study, "n04", None)
    assert waiting()[-1] == ("n04", 2, True)
    # The same images, under other names, lie there once.
    send_zip(study, {f"again/{name}": content for name, content in files.items()})
    assert InboxSeries.objects.count() == 5
    told = refusals(study)
    assert len(told) == 10
    assert "wait in the inbox as series 1." in told["again/scans/0/IM0001.dcm"]


def test_a_folder_named_like_an_arm_is_no_volunteer(study: Study) -> None:
    standard, fast = study.arms.get(code="STD"), study.arms.get(code="DF")
    layout = Layout(study)
    assert layout.place("STD/IM1", "", standard) == Place("", standard)
    assert layout.place("N08/STD/IM1", "", standard) == Place("N08", standard)
    assert layout.place("standard/DF/IM1", "", None) == Place("", fast)
    for name in ("DF/IM1", "N08/double-fast/IM1"):
        with pytest.raises(ImagingError, match="names another arm than standard"):
            layout.place(name, "", standard)
    with pytest.raises(ImagingError, match="names another arm"):
        layout.place("N08/TF/IM1", "N08", standard)
    with pytest.raises(ImagingError, match="names the arm double-fast"):
        do_add_volunteer(study, "df", None)
