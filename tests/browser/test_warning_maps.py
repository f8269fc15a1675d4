"""The demo's study of heads in a real browser: the warning map over the images, by keyboard."""

from __future__ import annotations

import re
import uuid
from typing import Any

import numpy as np
import pytest
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page, expect

from readerstudy.accounts.models import User
from readerstudy.conduct.quality import do_accept_ready
from readerstudy.conduct.services import do_launch
from readerstudy.demo.heads import Head, begin_heads
from readerstudy.demo.people import PEOPLE
from readerstudy.imaging.models import Series, Volunteer
from readerstudy.jobs.models import Job
from readerstudy.jobs.worker import run_pending
from readerstudy.reading.models import Item, Session
from readerstudy.reading.recording import do_check_display
from readerstudy.studies.models import Study
from readerstudy.variants.evidence import FLAGGED, read_map
from tests.denoise_engine.heads import phantom
from tests.factories import make_user
from tests.frontend.conftest import Window, window  # noqa: F401 - a fixture
from tests.reading.exchange import CONTRAST, DISPLAY

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PAINTED = """name => {
  const panes = [...document.querySelectorAll('.pane')];
  const pane = panes.find(one => one.querySelector('.overlay-label').textContent === name);
  const canvas = pane.querySelector('.pane-flags');
  if (canvas.hidden) return null;
  const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let at = 3; at < data.length; at += 4) count += data[at] > 0;
  const [map, image] = [canvas, pane.querySelector('.pane-pixels')].map(
    one => one.getBoundingClientRect());
  return {count, inside: map.left >= image.left - 1 && map.bottom <= image.bottom + 1};
}"""

SHOWN = f"""([name, count]) => {{
  const painted = ({PAINTED})(name);
  return count === null ? painted === null : painted !== null && painted.count === count;
}}"""


def painted(page: Page, name: str, count: int | None) -> None:
    """That the pane's map comes to have this many voxels (None: is not shown), and lies over its
    image. Panes are drawn with the screen's next frame: what a key does is waited for."""
    page.wait_for_function(SHOWN, arg=[name, count], timeout=10_000)
    assert count is None or page.evaluate(PAINTED, name)["inside"]


@pytest.fixture
def study() -> Study:
    """Made as the demo makes it, of a small head."""
    users = {person.email: make_user(person.email, name=person.name) for person in PEOPLE}
    head = Head("V01", np.rint(20 * phantom((48, 56, 56))[16:32]).astype(np.uint16), (1, 1, 1))
    for _again in range(2):  # what was begun is not begun anew
        study = begin_heads(users["coordinator@example.org"], users, [head])
        run_pending("cpu")
        run_pending("gpu")
    assert not Job.objects.exclude(state=Job.State.SUCCEEDED).exists()
    assert Series.objects.count() == study.arms.count() == 3
    return study


def signed_in(page: Page, email: str, address: str) -> None:
    client = Client()
    client.force_login(User.objects.get(email=email))
    page.context.add_cookies(
        [{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": address}]
    )


def test_maps_are_seen_at_the_desk_and_over_all_arms_alike_in_the_reading_room(
    front_end: None,
    study: Study,
    window: Window,  # noqa: F811
    live_server: Any,
) -> None:
    page = window.page
    page.set_default_navigation_timeout(90_000)
    signed_in(page, "coordinator@example.org", live_server.url)
    page.goto(live_server.url + reverse("readiness_compare", args=[study.slug, "V01"]))
    expect(page.locator("#comparing[data-ready='1']")).to_be_visible(timeout=30_000)
    assert page.evaluate(PAINTED, "SR-U-net") is None  # off until somebody asks
    page.keyboard.press("u")
    expect(page.locator("[data-flags=shown]")).to_have_count(1)
    flagged = np.asarray(read_map(Series.objects.get(arm__code="SR"), FLAGGED))
    assert flagged[8].any()
    painted(page, "SR-U-net", int(flagged[8].sum()))
    # What has no map says so, and shows none.
    expect(page.get_by_text("No warning map", exact=True)).to_have_count(2)
    assert page.evaluate(PAINTED, "interpolated") is None
    expect(page.locator(".tool-legend")).to_contain_text("not to be relied on")
    page.keyboard.press("ArrowDown")
    # Not a string of JavaScript to wait on: the page's own policy forbids evaluating one.
    expect(page.locator("#comparing")).to_have_attribute("data-view", re.compile(r'"slice":9\b'))
    painted(page, "SR-U-net", int(flagged[9].sum()))
    page.keyboard.press("?")
    expect(page.locator("#key-help")).to_contain_text("Warning map")
    page.keyboard.press("Escape")
    expect(page.locator("#key-help")).to_be_hidden()
    page.keyboard.press("u")
    painted(page, "SR-U-net", None)
    # The page of the series: what went in, what came out, what is known of its errors.
    series = Series.objects.get(arm__code="SR")
    page.goto(live_server.url + reverse("variant_evidence", args=[study.slug, series.pk]))
    expect(page.get_by_role("heading", name="Painted lesions")).to_be_visible()
    widths = "[...document.querySelectorAll('.evidence-picture img')].map(i => i.naturalWidth)"
    page.wait_for_load_state("networkidle")
    assert len(page.evaluate(widths)) == 5
    assert all(page.evaluate(widths))
    in_the_reading_room(page, launched(study), live_server.url, int(flagged[8].sum()))
    assert window.troubles == []


def launched(study: Study) -> Item:
    """With one map over all arms alike; the first item of the first reader."""
    Volunteer.objects.create(study=study, code="V02")  # a reading of one volunteer has no gap
    for series in Series.objects.filter(volunteer__code="V01"):
        series.pk, series.volunteer = uuid.uuid4(), study.volunteers.get(code="V02")
        series.save(force_insert=True)
    study.volunteers.filter(code="V02").update(display=study.volunteers.get(code="V01").display)
    Study.objects.update(warning_maps=Study.WarningMaps.ALIKE)
    coordinator = User.objects.get(email="coordinator@example.org")
    do_accept_ready(study, coordinator)
    do_launch(study, coordinator)
    session = Session.objects.get(study=study, reader__email="reader1@example.org")
    do_check_display(session, {**DISPLAY, "contrast": CONTRAST}, session.reader)
    item = session.items.order_by("position").first()
    assert item is not None
    return item


def in_the_reading_room(page: Page, item: Item, address: str, count: int) -> None:
    """Control and candidate, whichever it is, lie under the same map; a key lays it there."""
    signed_in(page, "reader1@example.org", address)
    page.goto(address + reverse("reading_item", args=[item.token]))
    expect(page.locator("#reading[data-ready='1']")).to_be_visible(timeout=30_000)
    assert page.evaluate(PAINTED, "Control") is None
    page.keyboard.press("u")
    expect(page.locator("[data-flags=shown]")).to_have_count(2)
    for name in ("Control", "Candidate"):
        painted(page, name, count)
    expect(page.locator(".tool-legend")).to_contain_text("the same over each")
    page.keyboard.press("?")
    expect(page.locator("#key-help")).to_contain_text("Warning map")
    page.keyboard.press("Escape")
