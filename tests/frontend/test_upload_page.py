"""The upload page in a real browser: pieces, pause, resumption, what the server then says."""

from __future__ import annotations

import os
import re
import uuid
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from .conftest import Window
from .harness import Site

pytestmark = pytest.mark.browser
MEBIBYTE = 1024 * 1024


def open_page(window: Window, site: Site) -> None:
    window.page.goto(f"{site.address}/upload/")
    window.page.wait_for_selector("#upload[data-ready='1']")


def pick(window: Window, *files: Path) -> None:
    chosen = window.page.locator("input[type=file][multiple]").first
    chosen.set_input_files([str(file) for file in files])


def told(window: Window) -> Any:
    return expect(window.page.locator(".upload-list [role=status]").first)


def wait_for_second_piece(window: Window, site: Site) -> None:
    while f"PATCH {8 * MEBIBYTE}" not in site.requests:
        window.page.wait_for_timeout(50)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    file = tmp_path / "scans.zip"
    file.write_bytes(os.urandom(20 * MEBIBYTE))
    return file


def test_a_zip_arrives_whole_in_pieces_and_its_reading_is_followed(
    window: Window, site: Site, archive: Path
) -> None:
    open_page(window, site)
    window.page.get_by_label("Volunteer").fill("V02")
    window.page.get_by_label("Arm").select_option("fast")
    pick(window, archive)
    told(window).to_contain_text("Waiting for the worker")
    (upload,) = site.uploads.values()
    assert bytes(upload["data"]) == archive.read_bytes()
    assert upload["metadata"]["volunteer"] == "V02"
    assert upload["metadata"]["arm"] == "fast"
    assert upload["metadata"]["filename"] == "scans.zip"
    assert uuid.UUID(upload["metadata"]["id"])  # by which a lost answer is asked for again
    assert site.finished == [{"batch": upload["metadata"]["batch"]}]
    assert [r for r in site.requests if r.startswith("PATCH")] == [
        f"PATCH {n * 8 * MEBIBYTE}" for n in range(3)
    ]
    bars = window.page.locator(".upload-stages progress")
    assert [bar.evaluate("bar => bar.value") for bar in bars.all()] == [1, 0, 0]
    upload.update(state="reading", read=1, stored=0.25, message="File 4 of 10")
    told(window).to_have_text("File 4 of 10")
    assert [bar.evaluate("bar => bar.value") for bar in bars.all()] == [1, 1, 0.25]
    refusals = [{"name": "notes.txt", "reason": "This is not a DICOM file."}]
    upload.update(state="done", tone="warn", accepted=9, waiting=2, refused=1, refusals=refusals)
    told(window).to_have_text("Done: 9 taken, 2 series in the inbox for you to place, 1 refused:")
    expect(window.page.get_by_role("link", name="Open the inbox")).to_be_visible()
    expect(window.page.locator(".upload-refusals li")).to_have_text(
        "notes.txt: This is not a DICOM file."
    )
    expect(window.page.locator("#stored")).to_have_text("1 stored")  # without loading it again
    assert window.violations() == []
    assert window.troubles == []
    leftovers = "() => Object.keys(localStorage).filter(key => key.includes('upload'))"
    assert window.page.evaluate(leftovers) == []


def test_files_picked_together_are_one_batch(window: Window, site: Site, tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.dcm" for number in range(12)]
    for number, file in enumerate(files):
        file.write_bytes(bytes([number]) * (1000 + number))
    open_page(window, site)
    pick(window, *files)
    told(window).to_contain_text("Waiting for the worker")
    assert {u["metadata"]["filename"] for u in site.uploads.values()} == {f.name for f in files}
    assert len({u["metadata"]["batch"] for u in site.uploads.values()}) == 1
    assert len(site.finished) == 1
    assert sum(len(u["data"]) for u in site.uploads.values()) == sum(range(1000, 1012))


def test_an_upload_can_be_paused_and_goes_on_where_it_was(
    window: Window, site: Site, archive: Path
) -> None:
    site.slow_pieces = 0.5
    open_page(window, site)
    pick(window, archive)
    # What has left shows at once, while the first piece is not confirmed yet.
    told(window).to_contain_text("Sending: 8.4 MB of 21.0 MB")
    wait_for_second_piece(window, site)
    window.page.get_by_role("button", name="Pause").click()
    expect(window.page.get_by_role("button", name="Go on")).to_be_focused()
    told(window).to_have_text(re.compile(r"Paused: (8\.4|16\.8) MB of 21\.0 MB"))
    window.page.wait_for_timeout(1200)
    assert site.finished == []
    window.page.get_by_role("button", name="Go on").click()
    told(window).to_contain_text("Waiting for the worker")
    (upload,) = site.uploads.values()
    assert bytes(upload["data"]) == archive.read_bytes()


def test_after_a_reload_the_same_file_goes_on_where_it_was(
    window: Window, site: Site, archive: Path
) -> None:
    site.slow_pieces = 0.5
    open_page(window, site)
    pick(window, archive)
    wait_for_second_piece(window, site)
    window.page.on("dialog", lambda dialog: dialog.accept())
    window.page.reload()
    site.slow_pieces = 0.0
    window.page.wait_for_selector("#upload[data-ready='1']")
    told(window).to_have_text(re.compile(r"Not finished: (8\.4|16\.8) MB of 21\.0 MB arrived\. "))
    told(window).to_contain_text("Choose the same file again")
    pick(window, archive)
    told(window).to_contain_text("Waiting for the worker")
    expect(window.page.locator(".upload-list > li")).to_have_count(1)
    (upload,) = site.uploads.values()
    assert bytes(upload["data"]) == archive.read_bytes()
    assert [r for r in site.requests if r == "PATCH 0"] == ["PATCH 0"]


def test_a_folder_broken_off_keeps_its_name_and_its_whole(
    window: Window, site: Site, tmp_path: Path
) -> None:
    folder = tmp_path / "N05"
    folder.mkdir()
    for number in range(12):
        (folder / f"{number}.dcm").write_bytes(bytes(100_000))
    site.slow_pieces = 0.7
    open_page(window, site)
    window.page.locator("input[webkitdirectory]").set_input_files(str(folder))
    while sum(len(u["data"]) > 0 for u in site.uploads.values()) < 4:
        window.page.wait_for_timeout(50)
    window.page.on("dialog", lambda dialog: dialog.accept())
    window.page.reload()
    told(window).to_have_text(re.compile(r"Not finished: [4-8] of 12 files, .* of 1\.2 MB arrived"))
    expect(window.page.locator(".upload-name")).to_have_text("N05: 12 files")
    sent = window.page.locator(".upload-stages progress").first.evaluate("bar => bar.value")
    assert 0.3 < sent < 0.7
    window.page.get_by_role("button", name="Cancel").click()
    told(window).to_have_text("Cancelled; nothing of it was kept.")
    assert site.uploads == {}
    leftovers = "() => Object.keys(localStorage).filter(key => key.includes('upload'))"
    assert window.page.evaluate(leftovers) == []


def test_cancelling_has_the_server_drop_what_arrived(
    window: Window, site: Site, archive: Path
) -> None:
    site.slow_pieces = 0.5
    open_page(window, site)
    pick(window, archive)
    told(window).to_contain_text("Sending: 8.4 MB")
    window.page.get_by_role("button", name="Cancel").click()
    told(window).to_contain_text("Cancelled")
    window.page.wait_for_timeout(800)
    assert site.uploads == {}
    assert site.finished == []


def test_too_many_files_are_said_before_anything_is_sent(window: Window, site: Site) -> None:
    open_page(window, site)
    many = [{"name": f"{n}.dcm", "mimeType": "", "buffer": b"x"} for n in range(21)]
    window.page.locator("input[type=file][multiple]").first.set_input_files(many)  # type: ignore[arg-type]
    told(window).to_have_text(
        "Stopped. These are 21 files; up to 20 are taken together. Send some of the folders at a "
        "time."
    )
    expect(window.page.get_by_role("button", name="Try again")).to_have_count(0)
    assert site.uploads == {}


def test_a_wrong_mapping_or_code_is_said_before_anything_is_sent(
    window: Window, site: Site, archive: Path, tmp_path: Path
) -> None:
    wrong, right = tmp_path / "wrong.csv", tmp_path / "right.csv"
    wrong.write_text("a,b\n")
    right.write_text("path,volunteer,arm\nscan 1,V01,fast\n")
    open_page(window, site)
    window.page.get_by_text("Many people from one folder tree").click()
    window.page.get_by_label("Mapping file").set_input_files(str(wrong))
    pick_archive = window.page.locator("input[type=file][multiple]").first
    pick_archive.set_input_files(str(archive))
    told(window).to_have_text("Stopped. The first line names its columns.")
    window.page.get_by_role("button", name="Close").click()
    window.page.get_by_label("Mapping file").set_input_files(str(right))
    window.page.get_by_label("Volunteer").fill("Jane Doe")
    pick_archive.set_input_files(str(archive))
    told(window).to_have_text("Stopped. That cannot be a volunteer's code.")
    expect(window.page.get_by_role("button", name="Try again")).to_have_count(0)
    assert site.uploads == {}
    window.page.get_by_role("button", name="Close").click()
    window.page.get_by_label("Volunteer").fill("")
    pick_archive.set_input_files(str(archive))
    expect(window.page.locator(".upload-list [role=status]").last).to_contain_text("Waiting for")
    (upload,) = site.uploads.values()
    assert site.places[-1]["batch"] == upload["metadata"]["batch"]
    assert site.places[-1]["mapping"] == right.read_text()
