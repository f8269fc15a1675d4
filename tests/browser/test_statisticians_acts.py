"""The statistician's acts in a browser: the plan is written and signed, the study locked, the
analysis run masked, the key opened, and a plan that is amended afterwards called post hoc."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from readerstudy.reports.models import Unblinding
from readerstudy.studies.models import PlanVersion
from tests.factories import PASSWORD, make_coordinator, make_statistician
from tests.reports.published import make_published_study

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

STUDY = "/studies/published"


def signed_in(browser: Browser, address: str, email: str) -> Page:
    page = browser.new_context(base_url=address, viewport={"width": 1280, "height": 720}).new_page()
    page.goto("/accounts/login/")
    page.fill("input[name=login]", email)
    page.fill("input[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/accounts/login" not in url)
    return page


def test_from_the_plan_to_the_opened_key(
    front_end: None, chromium: Browser, live_server: Any
) -> None:
    study = make_published_study(locked=False)
    make_coordinator(study, "cora@example.org")
    make_statistician(study, "stan@example.org")
    page = signed_in(chromium, live_server.url, "stan@example.org")

    # The plan: a fault at its field, then saved and signed; the keyboard is enough.
    page.goto(f"{STUDY}/plan/")
    page.fill("[name=margin]", "-1")
    page.keyboard.press("Enter")
    fault = page.locator(".field", has=page.locator("[name=margin]"))
    expect(fault.locator(".errorlist")).to_contain_text("positive number of score points")
    page.fill("[name=margin]", "0.5")
    page.get_by_label("Visual grading characteristics").check()
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".messages")).to_contain_text("It counts once it is signed")
    page.get_by_role("link", name="Sign the plan…").click()
    page.fill("[name=password]", "not this one")
    page.keyboard.press("Enter")
    expect(page.locator("body")).to_contain_text("The password is not right")
    assert page.input_value("[name=password]") == ""
    page.fill("[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator(".messages")).to_contain_text("Version 1 of the analysis plan is signed")
    version = PlanVersion.objects.get()
    expect(page.locator("body")).to_contain_text(version.sha256)
    page.goto(f"{STUDY}/results/unblind/")
    expect(page.get_by_role("button", name="Unblind")).to_have_count(0)  # not locked yet

    coordinator = signed_in(chromium, live_server.url, "cora@example.org")
    coordinator.goto(f"{STUDY}/lock/")
    coordinator.check("[name=confirmed]")
    coordinator.get_by_role("button", name="Lock the study").click()
    expect(coordinator.locator("body")).to_contain_text("Lock 1")
    coordinator.goto(f"{STUDY}/results/")
    expect(coordinator.locator("body")).to_contain_text("Results open to coordinators after")

    # Masked: the whole analysis, letters for arms.
    page.goto(f"{STUDY}/results/")
    expect(page.locator("body")).to_contain_text("Table 3")
    assert "DLR" not in page.inner_text("main")

    # A volunteer is left out: shown beside, decision by decision.
    page.get_by_role("link", name="Leave somebody out…").click()
    page.select_option("[name=who]", index=1)
    page.locator("form .field [name=reason]").last.fill("Moved; seen after the lock.")
    page.get_by_role("button", name="Leave out").click()
    expect(page.get_by_role("heading", name="With and without")).to_be_visible()
    assert "DLR" not in page.inner_text("main")

    page.goto(f"{STUDY}/results/unblind/")
    page.set_viewport_size({"width": 1280, "height": 720})
    page.fill("[name=reason]", "Masked tables reviewed.")
    page.check("[name=confirmed]")
    page.fill("[name=password]", "another phrase")
    page.get_by_role("button", name="Unblind").click()
    # Refused: the field stands in view with the keyboard, its fault below it.
    expect(page.get_by_text("The password is not right")).to_be_in_viewport()
    expect(page.locator("[name=password]")).to_be_focused()
    expect(page.locator("[name=password]")).to_be_in_viewport()
    page.fill("[name=password]", PASSWORD)
    page.get_by_role("button", name="Unblind").click()
    expect(page.locator("body")).to_contain_text("DLR-double-fast")
    assert Unblinding.objects.get().plan_version == version

    # Amended with the key open: post hoc, beside the planned results.
    page.goto(f"{STUDY}/plan/")
    page.select_option("[name=family]", "column")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Sign the amendment…").click()
    page.fill("[name=reason]", "A reviewer asked for it.")
    page.fill("[name=password]", PASSWORD)
    page.get_by_role("button", name="Sign as").click()
    page.get_by_role("link", name="Results under this version").click()
    expect(page.locator("caption").first).to_contain_text("(post hoc)")
    expect(page.locator("main")).to_contain_text("POST HOC: analysis plan version 2")
    page.goto(f"{STUDY}/results/")
    assert "POST HOC" not in page.inner_text("main")
