"""The design form: what is typed is kept, saved as one, and told where somebody else was first."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from lxml import html

from readerstudy.accounts.models import User
from readerstudy.audit.models import Event
from readerstudy.conduct.design import do_save_design, state_of
from readerstudy.conduct.services import do_launch
from readerstudy.imaging.models import Series
from readerstudy.studies.amendments import current_protocol, do_amend, history
from readerstudy.studies.design_document import document_of
from readerstudy.studies.errors import DesignConflict, DesignError, StudyError
from readerstudy.studies.models import Amendment, Study
from readerstudy.studies.protocol import protocol_of, sha256_of
from readerstudy.studies.services import do_update_study
from readerstudy.variants.models import Variant
from tests.factories import make_administrator, make_coordinator, make_statistician, make_study
from tests.reading.imaged_study import make_imaged_study

pytestmark = pytest.mark.django_db
DESIGN = "/studies/lumbar/design/"


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


class Desk:
    """A design page as a browser without script has it: fields, buttons, what the server says."""

    def __init__(self, user: User, address: str = DESIGN) -> None:
        self.client, self.address = client_of(user), address
        self.read(self.client.get(address))

    def read(self, response: Any) -> None:
        self.text = response.content.decode()
        self.page = html.fromstring(self.text)
        form = self.page.get_element_by_id("design")
        self.fields = {name: value or "" for name, value in form.form_values()}
        del self.fields["csrfmiddlewaretoken"]  # the test's client is not asked for it
        self.focus = form.get("data-focus")

    def press(self, wish: str, **headers: str) -> Any:
        response = self.client.post(self.address, {**self.fields, "do": wish}, headers=headers)
        if response.status_code == 200:
            self.read(response)
        elif response.status_code == 302:
            self.read(self.client.get(response.headers["Location"]))
        return response

    def faults(self) -> str:
        found = self.page.xpath("//*[@id='faults']")
        return found[0].text_content() if found else ""

    def rows(self, part: str) -> int:
        return sum(name.startswith(f"{part}-") and name.endswith("-key") for name in self.fields)


@pytest.fixture
def desk() -> Desk:
    return Desk(make_coordinator(make_study()))


def test_a_form_saved_as_it_is_changes_nothing(desk: Desk) -> None:
    before, events = document_of(Study.objects.get()), Event.objects.count()
    assert desk.press("save").status_code == 302
    assert "Nothing was changed" in desk.text
    assert (document_of(Study.objects.get()), Event.objects.count()) == (before, events)


def test_a_study_is_designed_from_nothing_in_one_sitting() -> None:
    administrator = make_administrator()
    client = client_of(administrator)
    response = client.post("/studies/new/", {"start": "blank", "title": "Knee DLR", "slug": ""})
    assert response.headers["Location"] == "/studies/knee-dlr/design/"
    desk = Desk(administrator, "/studies/knee-dlr/design/")
    assert "No arm is the control" in desk.text
    for wish in ("acquired", "acquired", "derived"):
        desk.press(f"add:arms:{wish}")
    desk.fields |= {"arms-0-name": "standard", "arms-1-name": "double-fast"}
    desk.fields |= {"arms-2-name": "DLR 1.7", "arms-2-value": "1,7"}
    desk.press("again:arms:2")
    assert (desk.focus, desk.fields["arms-3-name"]) == ("arms-3-value", "DLR 1.7 2")
    desk.fields |= {"arms-3-strength": "full", "arms-3-name": "DLR full", "arms-3-code": "FULL"}
    for part in ("comparisons", "comparisons", "criteria", "tissues", "tissues"):
        desk.press(f"add:{part}")
    second = {n: desk.fields[f"arms-{n}-key"] for n in (2, 3)}
    desk.fields |= {"comparisons-0-second": second[2], "comparisons-1-second": second[3]}
    desk.fields |= {"criteria-0-name": "Sharpness", "criteria-0-question": "How sharp?"}
    desk.fields |= {f"criteria-0-p{n}": f"point {n}" for n in range(1, 6)}
    desk.fields |= {"tissues-0-name": "Cartilage", "tissues-0-slice_rule": "paramedian"}
    desk.fields |= {"tissues-1-name": "Air", "tissues-1-purpose": "air"}
    desk.fields |= {"reading-occasions": "2", "planning-volunteers": "16"}
    desk.fields |= {"planning-difference": "0.6", "planning-sd": "0.8"}
    desk.press("save")
    assert "The design is saved" in desk.text
    study = Study.objects.get()
    design = document_of(study)
    assert [(a["code"], a["is_control"], a["source"]) for a in design["arms"]] == [
        ("standard", True, None),
        ("double_fast", False, None),
        ("dlr_17", False, "double_fast"),
        ("FULL", False, "double_fast"),
    ]
    assert design["arms"][2]["recipe"]["strength"] == {"kind": "target_snr_gain", "value": 1.7}
    assert design["arms"][3]["recipe"]["strength"] == {"kind": "full"}
    assert [c["second"] for c in design["comparisons"]] == ["dlr_17", "FULL"]
    assert design["criteria"][0]["anchors"][4] == "point 5"
    assert [(t["code"], t["slice_rule"], t["purpose"]) for t in design["tissues"]] == [
        ("cartilage", "paramedian", "tissue"),
        ("air", "central", "air"),
    ]
    assert (study.occasions, study.planning["volunteers"]) == (2, 16)
    assert "the design can be launched" in desk.text
    event = Event.objects.get(action="studies.design.changed")
    assert (event.actor, event.new["reading.occasions"]) == (administrator, 2)


def test_rows_move_and_go_and_the_keyboard_goes_on_with_them(desk: Desk) -> None:
    desk.press("down:criteria:0")
    assert (desk.fields["criteria-1-code"], desk.focus) == ("perceived_snr", "down-criteria-1")
    desk.press("up:criteria:1")
    assert (desk.fields["criteria-0-code"], desk.focus) == ("perceived_snr", "down-criteria-0")
    desk.press("remove:arms:4")  # DLR-triple-fast, with the two comparisons that name it
    assert (desk.rows("arms"), desk.rows("comparisons")) == (4, 2)
    for nonsense in ("up:arms:99", "remove:people:0", "up:arms:-1", "x", "", "up:arms:٣"):
        if nonsense:
            desk.press(nonsense)
    assert (desk.rows("arms"), desk.rows("comparisons")) == (4, 2)
    desk.press("save")
    study = Study.objects.get()
    assert [arm.code for arm in study.arms.all()] == ["STD", "DF", "DLR_DF", "TF"]
    assert [str(pair) for pair in study.comparisons.all()] == ["DF v DLR_DF", "STD v DLR_DF"]


def test_what_is_wrong_stands_at_its_field_and_nothing_typed_is_lost(desk: Desk) -> None:
    desk.fields |= {
        "study-title": "",
        "arms-2-value": "a lot",
        "tissues-3-area_mm2": "-5",
        "reading-repeat_percent": "90",
        "reading-practice_volunteers": "P1, ../P2",
        "criteria-0-p4": "",
        "criteria-1-question": "=1+1 <b>bold</b>",
    }
    typed = dict(desk.fields)
    desk.press("save")
    assert desk.fields == typed
    for words in (
        "Title: This is empty",
        "Arm 3, strength, value: This is a number from 0 to 1000, not “a lot”",
        "Region 4, area: This is a number from 0.1",
        "Reading, repeat percent: This is a whole number from 0 to 50, not 90",
        "“../P2” is no code",
        "Criterion 1, point 4: This is empty",
    ):
        assert words in " ".join(desk.faults().split()), desk.faults()
    invalid = {e.get("id") for e in desk.page.xpath("//*[@aria-invalid='true']")}
    assert {"study-title", "tissues-3-area_mm2", "criteria-0-p4"} <= invalid
    links = {a.get("href")[1:] for a in desk.page.xpath("//*[@id='faults']//a")}
    assert all(desk.page.xpath(f"//*[@id='{name}']") for name in links)
    assert "<b>bold</b>" not in desk.text
    assert Study.objects.get().title == "Lumbar DLR validation"
    assert not Event.objects.filter(action="studies.design.changed").exists()


def test_the_second_of_two_coordinators_is_told_and_overwrites_only_knowingly(desk: Desk) -> None:
    study = Study.objects.get()
    other = Desk(make_coordinator(study, "other@example.org"))
    other.fields |= {"reading-washout_days": "14", "arms-1-name": "two-fold"}
    other.press("save")
    desk.fields["reading-occasions"] = "3"
    assert desk.press("save").status_code == 200
    assert "Not saved: two people edit this design" in desk.text
    assert "Last changed by other" in desk.text
    told = [
        " ".join(cell.text_content() for cell in row)
        for row in desk.page.xpath("//*[@id='conflict']//tbody/tr")
    ]
    assert told == [
        "Arm 2, name two-fold double-fast",
        "Reading, occasions 1 3",
        "Reading, washout days 14 28",
    ]
    study.refresh_from_db()
    assert (study.occasions, study.washout_days) == (1, 14)
    desk.press("overwrite")
    study.refresh_from_db()
    assert (study.occasions, study.washout_days) == (3, 28)
    # A change of another page (here a service) counts too.
    stale = state_of(study)
    do_update_study(study, None, minimum_gap=2)
    with pytest.raises(DesignConflict):
        do_save_design(study, None, document_of(study), stale)


def test_codes_are_exchanged_and_the_control_moves_without_losing_a_row(desk: Desk) -> None:
    keys = {arm.code: arm.pk for arm in Study.objects.get().arms.all()}
    desk.fields |= {"arms-1-code": "TF", "arms-3-code": "DF", "control": str(keys["DF"])}
    desk.press("save")
    study = Study.objects.get()
    now = {arm.code: arm.pk for arm in study.arms.all()}
    assert (now["TF"], now["DF"]) == (keys["DF"], keys["TF"])
    assert study.arms.get(is_control=True).pk == keys["DF"]
    assert str(study.comparisons.first()) == "TF v DLR_DF"


def test_the_wording_follows_the_mode_where_it_is_the_templates(desk: Desk) -> None:
    desk.fields |= {"reading-mode": "choice", "criteria-1-question": "My own words?"}
    desk.press("save")
    assert "Forced choice needs sides that are balanced" in desk.faults()
    desk.fields["reading-side_policy"] = "balanced"
    desk.press("save")
    study = Study.objects.get()
    assert study.criteria.get(code="artifact").question == "Which image is freer of artifacts?"
    assert study.criteria.get(code="artifact").anchors == []
    assert study.criteria.get(code="sharpness").question == "My own words?"
    assert "Choose one of the two images" in study.reading_instructions
    desk.press("words")
    assert desk.fields["criteria-1-question"].startswith("In which image are edges")


def test_a_script_gets_the_page_to_put_in_and_a_plain_word_when_it_is_saved(desk: Desk) -> None:
    desk.fields["reading-occasions"] = "2"
    assert desk.press("save", **{"X-Design": "1"}).status_code == 204
    assert Study.objects.get().occasions == 2


# --- Images that are there ------------------------------------------------------------------------


def test_images_stay_with_a_corrected_code_and_what_people_brought_is_not_thrown_away() -> None:
    study = make_imaged_study(volunteers=1)
    desk = Desk(make_coordinator(study))
    stored = set(Series.objects.values_list("pk", flat=True))
    desk.fields |= {"arms-1-code": "FAST", "arms-1-name": "fast"}
    desk.press("save")
    assert Series.objects.get(arm__code="FAST").pk in stored
    desk.press("remove:arms:1")
    desk.press("save")
    assert "fast has images (V01" in desk.faults()
    desk = Desk(make_coordinator(study))
    desk.fields["control"] = desk.fields["arms-1-key"]
    desk.press("save")
    assert "standard stays the control" in desk.faults()
    assert set(Series.objects.values_list("pk", flat=True)) == stored


def test_another_strength_has_its_images_made_anew_and_a_removed_arm_takes_its_images() -> None:
    study = make_imaged_study(volunteers=1)
    desk = Desk(make_coordinator(study))
    other = Series.objects.get(arm__code="DLR_TF").pk
    desk.fields["arms-2-value"] = "2.2"
    desk.press("save")
    assert "The worker makes DLR-double-fast anew" in desk.text
    assert not Series.objects.filter(arm__code="DLR_DF").exists()
    variant = Variant.objects.get(arm__code="DLR_DF")
    assert variant.job is not None
    assert Series.objects.get(arm__code="DLR_TF").pk == other
    desk.press("remove:arms:4")
    desk.press("save")
    assert not Series.objects.filter(pk=other).exists()
    assert not study.arms.filter(code="DLR_TF").exists()


# --- The power of the planned test ----------------------------------------------------------------


def test_the_panel_says_the_power_and_what_it_rests_on(desk: Desk) -> None:
    assert "Say how many volunteers are planned" in desk.text
    desk.fields |= {"planning-volunteers": "10", "planning-kind": "shares"}
    desk.fields |= {"planning-higher": "100", "planning-lower": "0"}
    desk.press("power")
    assert desk.page.xpath("//*[@data-power]")[0].text == "100 %"
    text = " ".join(desk.page.get_element_by_id("power").text_content().split())
    assert "0.05 / 4 = 0.0125" in text
    assert "better by one step in 100%" in text
    # 2 / 2^7 is above the level, 2 / 2^8 is not.
    assert "fewer than 8 volunteers" in text
    desk.fields["planning-volunteers"] = "7"
    desk.press("power")
    assert desk.page.xpath("//*[@data-power]")[0].text == "0 %"
    assert Study.objects.get().planning == {}
    desk.fields["planning-volunteers"] = "many"
    desk.press("power")
    assert "Planning, volunteers: This is a whole number" in desk.faults()


# --- New from a file ------------------------------------------------------------------------------


def test_a_design_is_saved_as_a_file_and_made_from_it(desk: Desk) -> None:
    response = desk.client.get("/studies/lumbar/design.json")
    assert response.headers["Content-Disposition"] == 'attachment; filename="lumbar-design.json"'
    file = SimpleUploadedFile("lumbar-design.json", response.content)
    made = desk.client.post("/studies/new/", {"start": "file", "file": file, "slug": "second"})
    assert made.headers["Location"] == "/studies/second/design/"
    assert desk.client.get("/studies/second/design.json").content == response.content
    wrong = response.content.replace(b'"method": "ddlr"', b'"method": "magic"')
    file = SimpleUploadedFile("x.json", wrong)
    page = desk.client.post("/studies/new/", {"start": "file", "file": file, "slug": "third"})
    assert "arms[2].recipe" in page.content.decode()
    assert "“magic” is unknown" in page.content.decode()
    assert not Study.objects.filter(slug="third").exists()
    big = SimpleUploadedFile("big.json", b" " * 1_000_001)
    page = desk.client.post("/studies/new/", {"start": "file", "file": big, "slug": "third"})
    assert "too large" in page.content.decode()


def test_a_former_study_is_offered_only_to_whoever_coordinates_it(desk: Desk) -> None:
    other = make_study("other", "Somebody else’s")
    assert "Somebody else’s" not in desk.client.get("/studies/new/").content.decode()
    sent = {"start": "copy", "source": str(other.pk), "title": "Mine", "slug": "mine"}
    assert "Select a valid choice" in desk.client.post("/studies/new/", sent).content.decode()
    own = Study.objects.get(slug="lumbar")
    made = desk.client.post("/studies/new/", {**sent, "source": str(own.pk)})
    assert made.status_code == 302
    assert document_of(Study.objects.get(slug="mine"))["arms"] == document_of(own)["arms"]


# --- After the launch -----------------------------------------------------------------------------


def test_a_launched_design_is_frozen_and_amended_with_a_reason() -> None:
    study = make_imaged_study(volunteers=2, readers=1)
    coordinator = make_coordinator(study)
    desk = Desk(coordinator)
    opened = state_of(study)
    do_launch(study, None)
    study = Study.objects.get(slug="lumbar")
    launched = dict(study.protocol or {})
    with pytest.raises(StudyError, match="frozen"):
        do_save_design(study, coordinator, document_of(study), opened)
    desk.fields["reading-occasions"] = "4"
    # The form that was opened before the launch is sent after it.
    response = desk.client.post(DESIGN, {**desk.fields, "do": "save"}, follow=True)
    assert "launched meanwhile" in response.content.decode()

    page = desk.client.get("/studies/lumbar/amendments/")
    form = html.fromstring(page.content.decode()).xpath("//main//form")[-1]
    fields = {name: value or "" for name, value in form.form_values()}
    fields |= {"pause_after_minutes": "40", "planned_volunteers": "12", "opened": "1"}
    assert "required" in desk.client.post("/studies/lumbar/amendments/", fields).content.decode()
    fields["reason"] = "Readers asked for pauses."
    assert desk.client.post("/studies/lumbar/amendments/", fields).status_code == 302
    late = desk.client.post("/studies/lumbar/amendments/", {**fields, "pause_minutes": "9"})
    assert "Version 2 was made since this page was opened" in late.content.decode()

    study.refresh_from_db()
    amendment = Amendment.objects.get()
    assert (study.pause_after_minutes, study.occasions) == (40, 1)
    assert study.protocol == launched
    assert study.protocol_sha256 == sha256_of(launched) != amendment.protocol_sha256
    assert amendment.protocol_sha256 == sha256_of(amendment.protocol)
    assert current_protocol(study)["reading"]["pause_after_minutes"] == 40
    assert {k: v for k, v in amendment.protocol.items() if k not in {"reading", "planning"}} == {
        k: v for k, v in launched.items() if k not in {"reading", "planning"}
    }
    assert [version.number for version in history(study)] == [1, 2]
    shown = desk.client.get("/studies/lumbar/amendments/").content.decode()
    assert amendment.protocol_sha256 in shown
    assert study.protocol_sha256 in shown
    assert "Readers asked for pauses." in shown
    event = Event.objects.get(action="studies.protocol.amended")
    assert (event.actor, event.why, event.old["pause_after_minutes"]) == (
        coordinator,
        "Readers asked for pauses.",
        0,
    )


def test_what_readers_went_by_is_never_amended() -> None:
    study = make_imaged_study(volunteers=2, readers=1)
    with pytest.raises(StudyError, match="not launched yet"):
        do_amend(study, None, "Why", opened=1, title="Early")
    do_launch(study, None)
    study.refresh_from_db()
    before = protocol_of(study)
    for field, value in (
        ("occasions", 2),
        ("reading_mode", "choice"),
        ("minimum_gap", 9),
        ("washout_days", 1),
        ("may_go_back", False),
        ("protocol", {}),
        ("state", "draft"),
    ):
        with pytest.raises(StudyError, match="cannot be amended"):
            do_amend(study, None, "Why", opened=1, **{field: value})
    for reason, changes, words in (
        (" ", {"title": "New"}, "reason"),
        ("Why", {"title": study.title}, "Nothing was changed"),
        ("Why", {"pause_after_minutes": 999}, "240"),
        ("Why", {"planning": {"volunteers": "many"}}, "planning.volunteers"),
    ):
        with pytest.raises((StudyError, DesignError), match=words):
            do_amend(study, None, reason, opened=1, **changes)
    with pytest.raises(PermissionDenied):
        do_amend(study, make_statistician(study), "Why", opened=1, title="New")
    Study.objects.filter(pk=study.pk).update(state=Study.State.LOCKED)
    with pytest.raises(StudyError, match="amended no more"):
        do_amend(study, None, "Why", opened=1, title="Late")
    study.refresh_from_db()
    assert protocol_of(study) == before
    assert not Amendment.objects.exists()
