"""The evidence page in a real browser: by keyboard alone, at both sizes, within the policy."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import expect

from readerstudy.imaging.models import Series, Volunteer
from readerstudy.jobs.models import Job
from readerstudy.jobs.worker import run_pending
from tests.factories import make_coordinator, make_study
from tests.frontend.conftest import Window, window  # noqa: F401 - a fixture

from .scans import lumbar, store

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def opened(front_end: None, window: Window, live_server: Any) -> Window:  # noqa: F811
    """The evidence of a derived series, open in the browser of a coordinator."""
    study = make_study()
    volunteer = Volunteer.objects.create(study=study, code="V01")
    store(volunteer, "DF", lumbar(slices=3), spacing=(0.78, 0.78))
    run_pending("gpu")
    job = Job.objects.get()
    assert job.state == Job.State.SUCCEEDED, job.error
    client = Client()
    client.force_login(make_coordinator(study))
    window.page.context.add_cookies(
        [{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}]
    )
    series = Series.objects.get(arm__code="DLR_DF")
    window.page.set_default_navigation_timeout(90_000)  # on a machine with other work to do
    window.page.goto(f"{live_server.url}/studies/{study.slug}/variants/{series.pk}/")
    return window


def shown(window: Window) -> list[int]:  # noqa: F811
    """Natural widths of the pictures; 0 for one that did not load."""
    window.page.wait_for_load_state("networkidle")
    return window.page.evaluate(
        "[...document.querySelectorAll('.evidence-picture img')].map(i => i.naturalWidth)"
    )


def test_slices_are_chosen_by_keyboard_alone(opened: Window) -> None:
    page = opened.page
    title = page.locator("#slice-title")
    expect(title).to_have_text("Slice 2 of 3")
    assert len(shown(opened)) == 5
    page.locator("#slice-number").focus()
    page.keyboard.press("ArrowRight")
    expect(title).to_have_text("Slice 3 of 3")
    expect(page.locator("#slice-number")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(title).to_have_text("Slice 2 of 3")
    page.keyboard.press("Home")
    expect(title).to_have_text("Slice 1 of 3")
    expect(page.locator("#slice-number")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("#slice-next")).to_be_focused()
    page.keyboard.press("Enter")
    expect(title).to_have_text("Slice 2 of 3")
    expect(page.locator("#slice-next")).to_be_focused()
    page.keyboard.press("Enter")
    expect(title).to_have_text("Slice 3 of 3")
    assert page.url.endswith("?slice=3")
    assert all(width > 0 for width in shown(opened))
    page.reload()
    expect(title).to_have_text("Slice 3 of 3")
    # A key that is pressed the moment a slice appears steps on from it, without leaving the page.
    page.evaluate(
        """() => {
          window.stayed = true;
          const press = () => {
            const slider = document.querySelector("#slice-number");
            window.kept = document.activeElement === slider;
            slider.stepDown();
            slider.dispatchEvent(new Event("change", { bubbles: true }));
          };
          document.addEventListener("htmx:afterSwap", () => setTimeout(press), { once: true });
        }"""
    )
    page.locator("#slice-number").focus()
    page.keyboard.press("ArrowLeft")
    expect(title).to_have_text("Slice 1 of 3")
    expect(page.locator("#slice-number")).to_be_focused()
    assert page.evaluate("[window.stayed, window.kept]") == [True, True]
    assert opened.troubles == []


def test_the_pictures_fit_the_screen_and_the_page_is_accessible(opened: Window) -> None:
    page = opened.page
    for width, height in ((1280, 720), (2560, 1440)):
        page.set_viewport_size({"width": width, "height": height})
        assert all(size > 0 for size in shown(opened))
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.locator("#slice").scroll_into_view_if_needed()
        pictures = [picture.bounding_box() for picture in page.locator("#slice img").all()]
        assert len({round(box["y"]) for box in pictures if box}) == 1  # beside each other
        assert [box["width"] >= width * 0.17 for box in pictures if box] == [True] * 5
        section = page.locator("#slice").bounding_box()
        assert section is not None
        assert section["height"] <= height
        assert opened.violations() == []
    assert opened.troubles == []
