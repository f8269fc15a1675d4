"""Every page of the site, for tests and screenshots that have to see them all.

Pages are found by asking for every address of the site as every kind of person, in studies of every
state and mode of reading; a new page is found by itself, if `_values` can fill its address.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.test import Client

from readerstudy.accounts.models import User
from readerstudy.accounts.services import do_invite_user
from readerstudy.conduct.services import do_launch
from readerstudy.imaging.models import Series, Upload, UploadedFile, Volunteer
from readerstudy.jobs.models import Job
from readerstudy.jobs.worker import run_pending
from readerstudy.reading.models import Session
from readerstudy.reading.recording import do_check_display
from readerstudy.studies.models import Membership, Role, Study
from readerstudy.studies.services import do_add_member
from tests.blinding.addresses import every_address, filled
from tests.factories import make_administrator, make_study, make_user
from tests.reading import imaged_study
from tests.reading.exchange import CONTRAST, DISPLAY
from tests.reports.published import make_published_study, unblind
from tests.variants import scans

MODES = ("relative", "absolute", "choice", "ranking")
# In this study the reader has not looked at the display yet, so the reading page asks first.
ASKED_ABOUT_DISPLAY = "absolute"
# Whom a study's own pages are open to, and look different for.
SEE_STUDIES = {"administrator", "statistician"}
HTML_PAGE = "text/html"
# What an answer of these leads to is a file or a part of a page.
NOT_PAGES = {"readiness_panel", "jsi18n", "results_bundle"}
# The administration site's pages are Django's own: a few lists and forms stand for all.
OF_ADMINISTRATION = {
    *("index", "login", "logout", "password_change"),
    *("reading_session_changelist", "audit_event_changelist", "accounts_user_changelist"),
    *("accounts_user_change", "accounts_user_add", "audit_event_change", "studies_study_change"),
}


@dataclass(frozen=True)
class SitePage:
    person: str
    path: str
    name: str  # of the address

    def __str__(self) -> str:
        return f"{self.path} ({self.person})"


@dataclass
class Everything:
    """The people of the site and the values that fill its addresses."""

    people: dict[str, User | None] = field(default_factory=dict)
    values: dict[str, list[Any]] = field(default_factory=dict)


# --- Studies and people ---------------------------------------------------------------------------


def populate(fill: Callable[[Study, int], None] = imaged_study.fill_study) -> Everything:
    """Studies in every state and mode. `fill` gives a draft the images of so many volunteers."""
    coordinator = make_user("coordinator@example.org", name="Cora Coordinator")
    statistician = make_user("statistician@example.org", name="Stan Statistician")
    people: dict[str, User | None] = {
        "administrator": make_administrator(name="Ada Administrator"),
        "coordinator": coordinator,
        "statistician": statistician,
        "newcomer": make_user("newcomer@example.org", name="Nora Newcomer"),
        "nobody": None,
    }
    studies = [_study("draft", "in preparation"), _study("done", "all read", may_go_back=True)]
    studies += [_study(mode, mode, reading_mode=mode) for mode in MODES]
    studies += [make_published_study("locked"), make_published_study("unblinded")]
    for study in studies:
        do_add_member(study, None, coordinator, Role.COORDINATOR)
        do_add_member(study, None, statistician, Role.STATISTICIAN)
    unblind(studies[-1], None, "All scores are in.")
    _fill_draft(studies[0], fill)
    for study in studies[1:-2]:
        fill(study, 3)
        do_launch(study, None)
        reader = Membership.objects.get(study=study, reader_code="R1").user
        people[f"reader, {study.slug}"] = reader
        if study.slug != ASKED_ABOUT_DISPLAY:
            session = imaged_study.session_of(study)
            do_check_display(session, {**DISPLAY, "contrast": CONTRAST}, reader)
    imaged_study.read_to_the_end(imaged_study.session_of(studies[1]))
    imaged_study.score_item(imaged_study.first_item(imaged_study.session_of(studies[2])))
    TOTP.activate(statistician, generate_totp_secret())
    RecoveryCodes.activate(statistician)
    return Everything(people, _values(studies))


def _study(slug: str, title: str, **fields: Any) -> Study:
    study = make_study(slug, f"Lumbar spine, {title}", readers=2, notice="Simulated acceleration.")
    fields["side_policy"] = "balanced"
    fields["reading_instructions"] = "Score what you see, each time anew."
    Study.objects.filter(pk=study.pk).update(**fields)
    study.refresh_from_db()
    return study


def _fill_draft(study: Study, fill: Callable[[Study, int], None]) -> None:
    """Refused files, a job that waits, an empty cell, and a derived series with its evidence."""
    fill(study, 2)
    Series.objects.filter(volunteer__study=study, volunteer__code="V02", arm__code="TF").delete()
    upload = Upload.objects.create(
        study=study, name="V03.zip", volunteer_code="V03", size=10, state=Upload.State.DONE
    )
    UploadedFile.objects.create(
        upload=upload, name="V03/notes.txt", accepted=False, reason="This is not a DICOM file."
    )
    scans.store(Volunteer.objects.create(study=study, code="V03"), "DF", scans.lumbar())
    run_pending("gpu")
    Job.objects.create(kind="variants.derive", study_id=study.pk, label="V02 DLR_TF")


def _values(studies: list[Study]) -> dict[str, list[Any]]:
    sessions = Session.objects.filter(is_imported=False, reader_code="R1")
    items = [
        item
        for session in sessions
        for item in session.items.filter(submitted_at=None).order_by("position")[:1]
    ]
    earlier = [
        item
        for session in sessions
        for item in session.items.exclude(submitted_at=None).order_by("position")[:1]
    ]
    _, invitation = do_invite_user(None, "invited@example.org", "Ines Invited")
    derived = Series.objects.get(
        arm__code="DLR_DF", volunteer__code="V03", volunteer__study__slug="draft"
    )
    return {
        "slug": [study.slug for study in studies if study.slug not in MODES[1:]],
        "token": [
            *(session.token for session in sessions),
            *(item.token for item in (*items, *earlier)),
            invitation.rstrip("/").rsplit("/", 1)[-1],
            "an-invitation-that-is-over",
        ],
        "index": [0],
        "code": ["V01"],
        "volunteer_code": ["V01"],
        "arm": ["DF"],
        "arm_code": ["DLR_DF"],
        "series_id": [derived.pk],
        "raw_id": [],
        "picture": ["output"],
        "upload_id": [],
        "job_id": [uuid.uuid4()],
        "export": [uuid.uuid4()],
        "what": ["freeze"],
        "part": [
            *("tests", "agreement", "sensitivity", "readers", "volunteers", "figures"),
            "behind/?metric=score&row=sharpness&a=DF&b=DLR_DF&page=",
        ],
        "number": [1],
        "provider_id": ["hospital"],
        "pk": [],
        "membership_id": [],
        "site_id": [],
        "name": ["scores"],
        "image_format": ["svg"],
        "key": ["a-link-that-is-over"],
        "uidb36": ["1"],
        "object_id": ["1"],
        "content_type_id": [],
        "app_label": ["reading"],
        "url": [],
    }


# --- Finding the pages ----------------------------------------------------------------------------


def client_of(user: User | None) -> Client:
    """Signed in as that person, with the password given just now."""
    client = Client(raise_request_exception=False)
    if user is not None:
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        session = client.session
        session["account_authentication_methods"] = [
            {"method": "password", "at": time.time(), "email": user.email, "reauthenticated": True}
        ]
        session.save()
    return client


def every_page(site: Everything) -> Iterator[SitePage]:
    """Every page that somebody can open; once more only where it is made of something new."""
    names: set[str] = set()
    seen: set[str] = set()
    files: set[str] = set()  # addresses that answer with a file, some of them after seconds
    for person, user in site.people.items():
        client = client_of(user)
        for address in every_address():
            if address.namespace == "admin" and address.name not in OF_ADMINISTRATION:
                continue
            if address.name in NOT_PAGES or address.route in files:
                continue
            if "slug" in address.parameters and person not in SEE_STUDIES:
                continue  # tests of permissions ask there
            # What nothing here can fill is asked for with a guess: a form's target, not a page.
            guesses = {name: ["1"] for name in address.parameters if name not in site.values}
            for path in filled(address, {**site.values, **guesses}):
                answer = client.get(path)
                if answer.status_code != 200:
                    continue
                if not answer.headers.get("Content-Type", "").startswith(HTML_PAGE):
                    files.add(address.route)
                    break
                name, elements = address.name, _elements(answer.content.decode())
                if name == "reading_item":  # what is on it, its script puts there
                    name, elements = f"{name}, {person}", frozenset()
                if name not in names or not elements <= seen:
                    names.add(name)
                    seen |= elements
                    yield SitePage(person, path, address.name)
    yield SitePage("nobody", "/there-is-no-such-page/", "404")
    yield SitePage("coordinator", "/there-is-no-such-page/", "404")


def _elements(html: str) -> frozenset[str]:
    """What a page is made of: its elements with their classes, whatever it says in them."""
    body = html.partition("<main")[2] or html
    return frozenset(
        f"{tag} {classes}" for tag, classes in re.findall(r'<(\w+)(?: class="([^"]*)")?', body)
    )
