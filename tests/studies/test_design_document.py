"""The design as one JSON document: out and in again alike, and every fault told with its place."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied

from readerstudy.conduct.design import do_copy_study, do_create_from_document
from readerstudy.studies.design_document import (
    MOST_BYTES,
    Document,
    as_text,
    document_of,
    read_text,
)
from readerstudy.studies.errors import DesignError, StudyError
from readerstudy.studies.models import Membership, Study
from readerstudy.studies.services import do_update_study
from tests.factories import make_coordinator, make_study, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def study() -> Study:
    study = make_study(readers=2)
    study.tissues.filter(code="muscle").update(slice_rule="paramedian", area_mm2=42.5)
    planning = {"volunteers": 12, "kind": "difference", "difference": 0.5, "sd": 0.8}
    Study.objects.filter(pk=study.pk).update(planning=planning, practice_volunteers=["P1"])
    return Study.objects.get()


@pytest.fixture
def document(study: Study) -> Document:
    return document_of(study)


def test_what_goes_out_and_comes_in_goes_out_alike(study: Study) -> None:
    text = as_text(document_of(study))
    second = do_create_from_document("second", read_text(text.encode()), None)
    assert as_text(document_of(second)) == text
    assert second.tissues.get(code="muscle").slice_rule == "paramedian"
    assert second.arms.get(code="DLR_TF").source == second.arms.get(code="TF")
    assert second.planning["volunteers"] == 12
    assert not Membership.objects.filter(study=second).exists()


def test_a_copy_takes_the_design_and_never_the_data(study: Study) -> None:
    coordinator = make_coordinator(study)
    made = do_copy_study(study, "again", "Once more", coordinator)
    expected = document_of(study)
    expected["study"]["title"] = "Once more"
    expected["reading"]["practice_volunteers"] = []
    assert document_of(made) == expected
    assert made.is_draft
    assert [m.user for m in made.memberships.all()] == [coordinator]
    assert not made.volunteers.exists()
    other = make_study("other")
    with pytest.raises(PermissionDenied, match="role"):
        do_copy_study(other, "stolen", "Stolen", coordinator)
    assert not Study.objects.filter(slug="stolen").exists()


def set_at(document: Document, path: list[Any], value: Any) -> Document:
    changed = copy.deepcopy(document)
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return changed


STRENGTH = ["arms", 2, "recipe", "strength"]
WRONG: list[tuple[list[Any], Any, str, str]] = [
    (["format"], "other", "format", "no design"),
    (["version"], 2, "version", "Version 1"),
    (["version"], True, "version", "Version 1"),
    (["surprise"], {}, "surprise", "Nothing is known"),
    (["study", "title"], "", "study.title", "empty"),
    (["study", "title"], 7, "study.title", "text, not 7"),
    (["study", "title"], "a\x00b", "study.title", "cannot be shown"),
    (["study", "notice"], "x" * 301, "study.notice", "300 are the most"),
    (["arms"], {}, "arms", "list, not an object"),
    (["arms", 1], None, "arms[1]", "object, not nothing"),
    (["arms", 1, "code"], "no code!", "arms[1].code", "is no code"),
    (["arms", 1, "code"], "std", "arms[1].code", "arms[0]"),
    (["arms", 1, "is_control"], True, "arms[1].is_control", "control already"),
    (["arms", 1, "is_control"], 1, "arms[1].is_control", "true or false"),
    (["arms", 1, "source"], "STD", "arms[1].source", "made from no other"),
    (["arms", 2, "source"], None, "arms[2].source", "which acquired arm"),
    (["arms", 2, "source"], "DLR_DF", "arms[2].source", "itself"),
    (["arms", 2, "source"], "DLR_TF", "arms[2].source", "derived itself"),
    (["arms", 2, "source"], "QF", "arms[2].source", "no arm “QF”"),
    (["arms", 2, "kind"], "acquired", "arms[2].recipe", "no recipe"),
    (["arms", 2, "recipe"], {}, "arms[2].recipe", "has no recipe"),
    (["arms", 2, "recipe", "method"], "magic", "arms[2].recipe", "“magic” is unknown"),
    (["arms", 2, "recipe", "script"], "x", "arms[2].recipe", "script, which nothing is known"),
    (["arms", 2, "recipe", "model"], [1], "arms[2].recipe.model", "one value"),
    ([*STRENGTH, "more"], 1, "arms[2].recipe.strength.more", "Nothing is known"),
    ([*STRENGTH, "value"], 0.5, "arms[2].recipe", "1 or more"),
    ([*STRENGTH, "value"], "1.7", "arms[2].recipe.strength.value", "number from 0"),
    ([*STRENGTH, "kind"], "more", "arms[2].recipe", "unknown"),
    (["comparisons", 0, "second"], "QF", "comparisons[0].second", "no arm “QF”"),
    (["comparisons", 0, "second"], "DF", "comparisons[0].second", "with itself"),
    (["comparisons", 1], {"first": "DLR_DF", "second": "DF"}, "comparisons[1]", "comparisons[0]"),
    (["criteria", 0, "anchors"], ["one", "two"], "criteria[0].anchors", "2 of 5"),
    (["criteria", 0, "anchors", 3], "", "criteria[0].anchors[3]", "empty"),
    (["criteria", 3, "code"], "overall", "criteria[5].code", "criteria[3]"),
    (["tissues", 0, "area_mm2"], -3, "tissues[0].area_mm2", "from 0.1"),
    (["tissues", 0, "area_mm2"], True, "tissues[0].area_mm2", "not yes or no"),
    (["tissues", 0, "slice_rule"], "left", "tissues[0].slice_rule", "central"),
    (["tissues", 0, "colour"], "url(x)", "tissues[0].colour", "#ffb000"),
    (["tissues", 0, "purpose"], "air", "tissues[6].purpose", "background air"),
    (["reading", "mode"], "choice", "reading.side_policy", "balanced"),
    (["reading", "minimum_gap"], 0, "reading.minimum_gap", "from 1 to 50"),
    (["reading", "repeat_percent"], 90, "reading.repeat_percent", "from 0 to 50"),
    (["reading", "practice_volunteers"], ["../x"], "reading.practice_volunteers[0]", "is no code"),
    (["plan", "family"], "everything", "plan.family", "family is one of"),
    (["plan", "alpha"], 2, "plan.alpha", "between 0 and 1"),
    (["plan", "agreement"], 3, "plan.agreement", "list of codes"),
    (["planning", "sd"], 0, "planning.sd", "0.01"),
    (["planning"], {"higher": 60, "lower": 50}, "planning.lower", "100 %"),
]


@pytest.mark.parametrize(("path", "value", "place", "words"), WRONG)
def test_a_fault_is_told_with_its_place_and_nothing_is_made(
    document: Document, path: list[Any], value: Any, place: str, words: str
) -> None:
    with pytest.raises(DesignError) as caught:
        do_create_from_document("wrong", set_at(document, path, value), None)
    assert [f for f in caught.value.faults if f.path == place and words in f.message], caught.value
    assert not Study.objects.filter(slug="wrong").exists()


def test_every_fault_is_told_at_once(document: Document) -> None:
    wrong = set_at(document, ["reading", "occasions"], 0)
    del wrong["tissues"], wrong["arms"][0]["name"]
    with pytest.raises(DesignError) as caught:
        do_create_from_document("wrong", wrong, None)
    assert [fault.path for fault in caught.value.faults] == [
        "arms[0].name",
        "tissues",
        "reading.occasions",
    ]


def test_arms_made_of_each_other_are_refused(document: Document) -> None:
    wrong = set_at(document, ["arms", 2, "source"], "DLR_TF")
    wrong["arms"][4]["source"] = "DLR_DF"
    with pytest.raises(DesignError, match="two cannot be made of each other"):
        do_create_from_document("wrong", wrong, None)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b'{\n"a": 1,\n]', "line 3, column 1"),
        (b'{"a": 1, "a": 2}', "stands twice"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": ' + b"9" * 5000 + b"}", "too long"),
        (b'{"a": "\\ud800"}', "half a character"),
        (b"[" * 100_000, "nested too deeply"),
        (b" " * (MOST_BYTES + 1), "1 MB at most"),
        (b'"readerstudy-design"', "A design is an object"),
    ],
)
def test_a_hostile_file_is_refused_in_a_sentence(content: bytes, words: str) -> None:
    with pytest.raises(DesignError, match=words):
        do_create_from_document("hostile", read_text(content), None)


def test_huge_lists_are_refused_before_they_are_looked_through(document: Document) -> None:
    arm = document["arms"][0]
    with pytest.raises(DesignError) as caught:
        do_create_from_document("huge", {**document, "arms": [arm] * 3000}, None)
    assert [fault.path for fault in caught.value.faults] == ["arms"]


def test_a_formula_is_only_text(document: Document) -> None:
    text = '=HYPERLINK("http://x")<script>alert(1)</script>'
    made = do_create_from_document("formula", set_at(document, ["arms", 0, "name"], text), None)
    assert made.arms.get(code="STD").name == text
    assert json.loads(as_text(document_of(made)))["arms"][0]["name"] == text


def test_only_who_may_create_studies_imports_one(document: Document) -> None:
    with pytest.raises(PermissionDenied, match="created by administrators"):
        do_create_from_document("mine", document, make_user())
    assert not Study.objects.filter(slug="mine").exists()


def test_a_taken_address_leaves_nothing(study: Study, document: Document) -> None:
    do_update_study(study, None, title="Kept")
    with pytest.raises(StudyError, match="taken by another study"):
        do_create_from_document("lumbar", document, None)
    assert Study.objects.get().title == "Kept"
