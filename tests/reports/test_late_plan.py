"""A plan that was changed between the lock and the unblinding, and decisions under letters."""

from __future__ import annotations

import pytest
from django.test import Client

from readerstudy.reports.bundles.descriptions import readme
from readerstudy.reports.bundles.manifest import manifest
from readerstudy.reports.bundles.paper import tables
from readerstudy.reports.plan_services import do_save_plan
from readerstudy.reports.post_hoc import signing
from readerstudy.reports.report import masked_report, named_report
from readerstudy.studies.models import Plan, Study
from tests.factories import make_statistician
from tests.reports.published import make_published_study, sign, unblind

pytestmark = pytest.mark.django_db


def amend(study: Study, **changes: object) -> None:
    given = {**Plan.objects.get(study=study).settings(), **changes}
    do_save_plan(study, None, given)
    sign(study, reason="A margin, agreed on.")


def test_a_plan_amended_after_the_lock_is_said_wherever_results_stand(client: Client) -> None:
    study = make_published_study()
    first = signing(sign(study))
    assert first is not None
    assert first.amended == ""  # what the import froze, merely signed
    amend(study, margin=0.5)
    report = masked_report(study)
    assert "version 2" in report.notice
    assert report.notice.endswith("when masked results could be seen.")
    client.force_login(make_statistician(study))
    page = client.get("/studies/published/results/").content.decode()
    assert "The plan was amended after the lock" in page
    assert "version 2, signed on" in page
    drawn = client.get("/studies/published/results/figures/?figure=differences&row=margin")
    assert '"margins": [-0.5, 0.5]' in drawn.content.decode()
    every = client.get("/studies/published/results/figures/?figure=differences").content.decode()
    assert '"margins": []' in every  # other intervals are not held against the margin
    overview = client.get("/studies/published/").content.decode()
    assert "3 whose scores were imported (R1, R2, R3)" in overview
    excluded = client.get("/studies/published/results/exclusions/").content.decode()
    assert 'class="results-nav"' in excluded
    said = manifest(study, report, {})
    assert said["plan_signed"] == "after the lock, before unblinding"
    assert said["plan_signed_at"].startswith("20")
    assert "AMENDED AFTER THE LOCK" in said["amended_after_lock"]
    assert "AMENDED AFTER THE LOCK" in readme(report, [])
    shown = {table.name: table for table in tables(report, None)}
    assert all("AMENDED AFTER THE LOCK" in table.notes[-1] for table in shown.values())
    unblind(study)
    study.refresh_from_db()
    named = named_report(study)
    assert "AMENDED AFTER THE LOCK" in named.notice
    assert named.post_hoc == ""

    # Under letters the order of two arms is drawn: both ways round stand there, and the planned
    # one is the decision that stands after the unblinding.
    letters = named.letters
    masked = {
        (row["row"], row[first], row[second]): row[verdict]
        for row in report.results.non_inferiority.to_dict("records")
        for first, second, verdict in (
            ("a", "b", "non_inferior"),
            ("b", "a", "reverse_non_inferior"),
        )
    }
    planned = named.results.non_inferiority.to_dict("records")
    assert len(planned) == 24
    for row in planned:
        assert masked[row["row"], letters[row["a"]], letters[row["b"]]] == row["non_inferior"]
    assert list(shown["table5"].cells)[-2:] == ["Second to first", "First to second"]
