"""What the matrix of permissions is asked in: a study in preparation, one that is being read and
one whose key is open, somebody in every role of each, and something real behind every address."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import numpy as np
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from cryptography.hazmat.primitives.asymmetric import ec
from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone
from fido2.cose import ES256
from fido2.utils import websafe_encode
from fido2.webauthn import (
    AttestationObject,
    AttestedCredentialData,
    AuthenticatorData,
    CollectedClientData,
)

from readerstudy.accounts.models import User
from readerstudy.accounts.services import do_invite_user
from readerstudy.conduct.locking import do_lock
from readerstudy.imaging.models import InboxSeries, Series, Upload, Volunteer
from readerstudy.imaging.volumes import write_file
from readerstudy.jobs.models import Job
from readerstudy.jobs.worker import run_pending
from readerstudy.reading.recording import do_check_display
from readerstudy.reports.api.tokens import do_create_token
from readerstudy.reports.export_models import Export
from readerstudy.reports.models import Exclusion
from readerstudy.studies.models import Membership, Role, Study
from readerstudy.studies.services import do_add_member, draw_arm_letters
from readerstudy.studies.sites import do_add_site
from readerstudy.variants.evidence import WARNING_FILES, write_flags, write_warning_objects
from readerstudy.variants.models import RawData
from tests.blinding.addresses import Address
from tests.factories import make_administrator, make_member, make_reader, make_study, make_user
from tests.reading.exchange import CONTRAST, DISPLAY, Page
from tests.reading.imaged_study import (
    fill_study,
    first_item,
    pane_of,
    read_to_the_end,
    reader_of,
    score_item,
    session_of,
    start_reading,
)
from tests.reports.published import unblind
from tests.variants import scans

PREPARED, READ, OPEN = "in preparation", "being read", "with its key open"
PEOPLE = (
    "nobody",
    "reader",
    "coordinator",
    "statistician",
    "site coordinator",
    "administrator",
    "foreign reader",
    "foreign coordinator",
    "foreign statistician",
)
# Coordinates another site of the same study. Has no column: see ABOUT_ONE_SITE in the table.
ELSEWHERE = "coordinator of another site"
# Who is asked about where nothing is being read: strangers are refused there as here.
FEWER = PEOPLE[1:6] + ("foreign coordinator",)
# Tens of seconds; `tests/reports/test_results_access.py` has the answers to everybody.
_SLOW = {"results_bundle"}
_SESSIONS = {"reading_session", "reading_sign", "reading_display", "reading_pause"}
_PANES = {"reading_pixels", "reading_flags"}


@dataclass
class Stage:
    """A study in one state, who is asked about, and what fills the parameters of an address."""

    study: Study
    people: dict[str, User | None]
    values: dict[str, Any]

    def asks(self, address: Address) -> bool:
        """Pages of no study are asked for once, where one is being read."""
        if self.study.is_unblinded and address.name in _SLOW:
            return False
        return self.people.keys() == {*PEOPLE, ELSEWHERE} or bool(
            {"slug", "token"} & {*address.parameters}
        )

    def arguments(self, address: Address) -> dict[str, list[Any]]:
        said = {**self.values, **self.values["by address"].get(address.name, {})}
        if address.namespace == "admin" and "object_id" in address.parameters:
            said["object_id"] = _object_of(address)
        return {name: [said[name]] for name in address.parameters}


def make_stages() -> dict[str, Stage]:
    foreign = make_study("foreign", "Foreign")
    shared: dict[str, User | None] = {
        "nobody": None,
        "administrator": make_administrator(),
        **{f"foreign {role}": make_member(foreign, role).user for role in _ROLES},
    }
    for user in shared.values():
        if user is not None:
            _with_factors(user)
    return {
        PREPARED: _in_preparation(shared),
        READ: _being_read(shared),
        OPEN: _with_its_key_open(shared),
    }


_ROLES = ("reader", "coordinator", "statistician")


def _study(slug: str, shared: dict[str, User | None]) -> tuple[Study, dict[str, User | None]]:
    """A study with two sites, of which the first holds whatever is asked for."""
    study = make_study(slug, slug.title(), notice="Simulated.")
    Study.objects.filter(pk=study.pk).update(warning_maps=Study.WarningMaps.OPEN)
    people = {role: make_member(study, role).user for role in _ROLES}
    make_reader(study)
    site = do_add_site(study, None, "ZRH", "Zürich")
    member = do_add_member(study, None, make_user(), Role.SITE_COORDINATOR, site=site)
    people["site coordinator"] = member.user
    other = do_add_site(study, None, "BRN", "Bern")
    people[ELSEWHERE] = do_add_member(
        study, None, make_user(), Role.SITE_COORDINATOR, site=other
    ).user
    for user in people.values():
        _with_factors(user)
    study.refresh_from_db()
    asked = PEOPLE if slug == "read" else FEWER
    return study, {who: {**shared, **people}[who] for who in (*asked, ELSEWHERE)}


def _with_factors(user: User) -> None:
    TOTP.activate(user, generate_totp_secret())
    RecoveryCodes.activate(user)


def _fill(study: Study, volunteers: int) -> None:
    fill_study(study, volunteers)
    study.volunteers.update(site=study.sites.get(code="ZRH"))
    for series in Series.objects.filter(volunteer__study=study):
        shape = (series.slices, series.rows, series.columns)
        write_flags(series.prefix, np.ones(shape, dtype=bool), np.ones(shape, dtype=np.float32))


def _values(study: Study) -> dict[str, Any]:
    """What stands behind the study's own addresses: files sent, jobs, raw data, tokens."""
    arm = study.arms.get(code="DF")
    volunteer = study.volunteers.get(code="V01")
    series = Series.objects.get(volunteer=volunteer, arm=arm)
    site = study.sites.get(code="ZRH")
    upload = Upload.objects.create(
        study=study, site=site, name="V01.zip", volunteer_code="V01", arm=arm, size=10
    )
    job = Job.objects.create(kind="variants.derive", study_id=study.pk, label="V01 DLR_DF")
    statistician = Membership.objects.get(study=study, role=Role.STATISTICIAN)
    token, _ = do_create_token(study, statistician.user, "notebook", 30)
    raw = RawData.objects.create(
        volunteer=volunteer, arm=arm, prefix=f"raw/{study.pk}", sha256="ab" * 32,
        description={
            **{"is_3d": False, "planes": 3, "rows": 32, "columns": 24, "coils": 16},
            **{"is_full": False, "acceleration": 2.0, "has_noise": True, "warnings": []},
        },
    )  # fmt: skip
    _, invitation = do_invite_user(None, f"invited-{study.slug}@example.org", "Ines Invited")
    return {
        **{"slug": study.slug, "code": "V01", "volunteer_code": "V01", "index": 0, "number": 1},
        **{"arm": "DF", "arm_code": "DLR_DF", "picture": "output", "part": "volunteers"},
        **{"series_id": series.pk, "raw_id": raw.pk, "upload_id": upload.pk, "job_id": job.pk},
        **{"membership_id": statistician.pk, "site_id": site.pk, "what": "freeze"},
        **{"name": "scores", "image_format": "svg", "export": uuid.uuid4(), "pk": 1},
        **{"token": "none", "provider_id": "hospital", "key": "a-guess", "uidb36": "1"},
        **{"app_label": "reading", "object_id": "1", "url": "nothing/here/"},
        "content_type_id": ContentType.objects.get_for_model(User).pk,
        "by address": {
            "account_invitation": {"token": invitation.rstrip("/").rsplit("/", 1)[-1]},
            "results_token_revoke": {"number": token.pk},
            "results_panels_file": {"name": "panels"},
            "results_file": {"name": "tests.csv"},
            "results_export_file": {"name": "tests.csv"},
            "api_file": {"name": "tests.csv"},
            "api_unknown": {"name": "no"},
        },
    }


# --- The three studies ----------------------------------------------------------------------------


def _in_preparation(shared: dict[str, User | None]) -> Stage:
    """Beside its images a series that waits for a place, and one that the worker denoised."""
    study, people = _study("prepared", shared)
    _fill(study, 1)
    volunteer = Volunteer.objects.create(study=study, code="V02", site=study.sites.get(code="ZRH"))
    Job.objects.all().delete()  # of those cells that were filled by hand
    scans.store(volunteer, "DF", scans.lumbar())
    run_pending("gpu")
    derived = Series.objects.get(volunteer=volunteer, arm__code="DLR_DF")
    values = _values(study)
    folder = f"inbox/{study.pk}/1"
    write_file(f"{folder}/sheet.png", b"an image")
    waiting = InboxSeries.objects.create(
        **{"study": study, "number": 1, "prefix": folder, "rows": 8, "columns": 8, "slices": 1},
        geometry=Series.objects.filter(volunteer__study=study)[0].geometry,
        upload_id=values["upload_id"],
    )
    for name in ("uploads_inbox_series", "uploads_inbox_sheet"):
        values["by address"][name] = {"series_id": waiting.pk}
    for name in ("uploads_inbox_clear", "uploads_inbox_discard"):
        values["by address"][name] = {"series_id": waiting.pk}
    write_warning_objects(derived.prefix, dict.fromkeys(WARNING_FILES, b"an object"))
    for name in ("variant_evidence", "variant_image", "variant_warning"):
        values["by address"][name] = {"series_id": derived.pk}
    return Stage(study, people, values)


def _being_read(shared: dict[str, User | None]) -> Stage:
    """The reader has an item open."""
    study, people = _study("read", shared)
    _fill(study, 2)
    start_reading(study)
    session = session_of(study)
    reader = reader_of(session)
    do_check_display(session, {**DISPLAY, "contrast": CONTRAST}, reader)
    score_item(first_item(session))
    page = Page(session)
    page.client.get(f"/reading/session/{session.token}/")
    page.client.get(f"/reading/item/{page.item.token}/")
    values = _values(study)
    values["token"] = page.item.token
    values["by address"] |= {name: {"token": session.token} for name in _SESSIONS}
    values["by address"] |= {
        name: {"token": pane_of(page.item, "candidate").token} for name in _PANES
    }
    passkey = Authenticator.objects.create(
        user=reader,
        type=Authenticator.Type.WEBAUTHN,
        data={"name": "Key", "credential": _credential()},
    )
    for name in ("mfa_edit_webauthn", "mfa_remove_webauthn"):
        values["by address"][name] = {"pk": passkey.pk}
    return Stage(study, people, values)


def _with_its_key_open(shared: dict[str, User | None]) -> Stage:
    study, people = _study("open", shared)
    _fill(study, 3)
    start_reading(study)
    for code in ("R1", "R2"):
        read_to_the_end(session_of(study, code))
    Study.objects.filter(pk=study.pk).update(arm_letters=draw_arm_letters(study))
    values = _values(study)
    study.refresh_from_db()
    do_lock(study, None, "The end.")
    exclusion = Exclusion.objects.create(
        study=study, kind="volunteer", code="V03", reason="Motion", study_state="locked",
        at=timezone.now(),
    )  # fmt: skip
    study.refresh_from_db()
    unblind(study, None, "All scores are in.")
    study.refresh_from_db()
    session = session_of(study)
    item = session.items.order_by("position")[0]
    values["token"] = item.token
    values["by address"] |= {name: {"token": session.token} for name in _SESSIONS}
    values["by address"] |= {name: {"token": pane_of(item, "candidate").token} for name in _PANES}
    path = default_storage.save(f"exports/{study.pk}/bundle.zip", ContentFile(b"a bundle"))
    export = Export.objects.create(study=study, name="bundle.zip", path=path, is_masked=False)
    values["export"] = export.pk
    values["by address"]["results_exclusion_take_back"] = {"number": exclusion.pk}
    return Stage(study, people, values)


def _credential() -> dict[str, Any]:
    """What a browser sends of a new passkey."""
    private = ec.generate_private_key(ec.SECP256R1())
    key = AttestedCredentialData.create(
        bytes(16), b"key", ES256.from_cryptography_key(private.public_key())
    )
    flags = AuthenticatorData.FLAG.UP | AuthenticatorData.FLAG.AT
    attested = AttestationObject.create(
        "none", AuthenticatorData.create(bytes(32), flags, 0, key), {}
    )
    said = CollectedClientData.create("webauthn.create", b"challenge", "http://testserver")
    identifier = websafe_encode(b"key")
    return {
        **{"id": identifier, "rawId": identifier, "type": "public-key"},
        "response": {
            "clientDataJSON": websafe_encode(said),
            "attestationObject": websafe_encode(attested),
        },
    }


def _object_of(address: Address) -> str:
    """A row of the model that a page of the administration site is about; a guess if none is."""
    parts = address.route.split("/")
    try:
        model = apps.get_model(parts[1], parts[2])
    except (LookupError, IndexError):
        return "1"
    return str(model._default_manager.order_by("pk").values_list("pk", flat=True).last() or 1)
