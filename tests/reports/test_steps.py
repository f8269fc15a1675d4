"""The statistician's acts in their order, as the pages of the plan and of the key show them."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from tests.factories import make_statistician
from tests.reports.published import lock, make_published_study, sign, unblind

pytestmark = pytest.mark.django_db


def test_the_steps_say_what_is_to_be_done_now(client: Client) -> None:
    study = make_published_study(locked=False)
    statistician = make_statistician(study)
    client.force_login(statistician)

    def now(path: str) -> str:
        page = client.get(f"/studies/published/{path}/").content.decode()
        current = re.findall(r'aria-current="step">(?:<a[^>]*>)?([^<]+)<', page)
        assert len(current) == 1
        return current[0]

    sign(study, statistician)
    assert (now("plan"), now("results/unblind")) == ("Lock", "Lock")
    lock(study)
    # Nothing records that the masked results were read: at the key they are passed, not done.
    assert (now("plan"), now("results/unblind")) == ("Read masked results", "Unblind")
    page = client.get("/studies/published/results/unblind/").content.decode()
    assert "Read masked results</a><span" not in page
    unblind(study, statistician, "Reviewed.")
    assert (now("plan"), now("results/unblind")) == ("Export", "Export")
