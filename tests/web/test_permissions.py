"""Every address × every role × own and foreign study: a new address without a row fails here."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from readerstudy.imaging.models import Series, Upload
from readerstudy.jobs.models import Job
from readerstudy.studies.models import Membership, Role
from readerstudy.studies.services import do_add_member
from readerstudy.studies.sites import do_add_site
from tests.blinding.addresses import Address, every_address, filled
from tests.blinding.test_every_address import arguments
from tests.factories import (
    make_administrator,
    make_coordinator,
    make_reader,
    make_statistician,
    make_study,
    make_user,
)
from tests.reading.imaged_study import make_imaged_study, start_reading

from .permission_table import ANSWERS, PEOPLE, SITE_COORDINATOR, SITE_COORDINATORS_ACTS

# A study's own addresses refuse others in every method; these belong to the person, not the study.
OF_ONESELF = ("account", "mfa", "health", "ready", "reading_signin", "reading_faults")
TUS = {"Tus-Resumable": "1.0.0", "Upload-Length": "10", "Upload-Offset": "0"}
REFUSED = {403, 404, 405}


@pytest.mark.django_db
@pytest.mark.slow
def test_every_address_answers_everybody_as_the_table_says(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("CRITICAL", logger="django.request")  # a thousand refusals
    study = make_imaged_study(volunteers=2, readers=2)
    arm = Series.objects.filter(arm__code="DF")[0].arm
    Upload.objects.create(study=study, name="V01.zip", volunteer_code="V01", arm=arm, size=10)
    Job.objects.create(kind="variants.derive", study_id=study.pk, label="V01 DLR_DF")
    foreign = make_study("foreign")
    people: dict[str, Any] = {
        "nobody": None,
        "reader": Membership.objects.get(study=study, reader_code="R1").user,
        "coordinator": make_coordinator(study),
        "statistician": make_statistician(study),
        "foreign reader": make_reader(foreign),
        "foreign coordinator": make_coordinator(foreign),
        "foreign statistician": make_statistician(foreign),
        "administrator": make_administrator(),
    }
    site = do_add_site(study, None, "ZRH", "Zürich")
    study.volunteers.update(site=site)
    member = do_add_member(study, None, make_user(), Role.SITE_COORDINATOR, site=site)
    start_reading(study)
    assert tuple(people) == PEOPLE
    expected = {name: row for row, names in ANSWERS.items() for name in names}
    stranger = PEOPLE.index("foreign coordinator")
    expected = {n: (*row, SITE_COORDINATOR.get(n, row[stranger])) for n, row in expected.items()}
    people["site coordinator"] = member.user
    own = [address for address in every_address() if not address.namespace]
    assert {address.name for address in own} == set(expected), "a new address needs a row"

    values = {name: found[:1] for name, found in arguments(study).items()}
    paths = {address: filled(address, values)[0] for address in own}
    wrong: list[str] = []
    for column, (who, user) in enumerate(people.items()):
        client = Client(raise_request_exception=False)
        for address, path in paths.items():
            # Anew each time: some addresses sign a person out, or change the session.
            if user is not None and ("_auth_user_id" not in client.session):
                client.force_login(user)
            got = client.get(path).status_code
            if got != expected[address.name][column]:
                row = f"{expected[address.name][column]}"
                wrong.append(f"GET {path} by {who}: {got}, the table says {row}")
            wrong += _posts_of_outsiders(client, address, path, who)
    assert not wrong, "\n".join(wrong)


def _posts_of_outsiders(client: Client, address: Address, path: str, who: str) -> list[str]:
    """Whoever does not belong to the study changes nothing in it, whatever is sent; whoever belongs
    to a site of it nothing but what is the site's."""
    if not who.startswith(("nobody", "foreign", "site")) or not address.parameters:
        return []
    if who.startswith("site") and address.name in {*SITE_COORDINATOR, *SITE_COORDINATORS_ACTS}:
        return []
    if address.name.startswith(OF_ONESELF):
        return []
    got = client.post(path, "{}", content_type="application/json", headers=TUS).status_code
    # Signed out: to the sign-in page, or told so.
    if got in ({302, 401} | REFUSED if who == "nobody" else REFUSED):
        return []
    return [f"POST {path} by {who}: {got}"]
