"""What the log says of requests and errors: never a link that opens an account, nor a message."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable, Iterator
from logging.config import DictConfigurator
from pathlib import Path
from typing import Any

import pytest
from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.db import IntegrityError, OperationalError, transaction
from django.template.utils import get_app_template_dirs
from django.test import Client
from gunicorn.glogging import SafeAtoms

from readerstudy.accounts import services, views
from readerstudy.accounts.models import User
from readerstudy.accounts.services import do_invite_user
from readerstudy.audit.models import Event
from readerstudy.web.logs import MASK, ForeignLines, RequestIdFilter, kind_of, trace_of
from tests.factories import make_administrator, make_coordinator, make_study, make_user

NAME = "Doe^Jane"


def formatter_of(name: str) -> logging.Formatter:
    """As the settings make it."""
    made = DictConfigurator(settings.LOGGING)  # type: ignore[arg-type]
    configured: Any = made.config["formatters"]
    formatter: logging.Formatter = made.configure_formatter(configured[name])  # type: ignore[no-untyped-call]
    return formatter


@pytest.fixture(params=["plain", "json"])
def told(request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    """Everything that the root's handler writes, in either format."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter_of(request.param))
    handler.addFilter(RequestIdFilter())
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield stream.getvalue
    finally:
        root.removeHandler(handler)


@pytest.mark.django_db
def test_no_link_that_sets_a_password_reaches_the_log(
    told: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for by a browser that is not signed in, while the links hold."""
    _, link = do_invite_user(None, "invited@example.org")
    token = link.rstrip("/").rpartition("/")[2]
    invitation = f"/accounts/invitation/{token}/"
    person = make_user()
    key = default_token_generator.make_token(person)
    reset = f"/accounts/password/reset/key/{user_pk_to_url_str(person)}-{key}/"
    answers = []
    for path in (invitation, reset):
        for method in ("OPTIONS", "PROPFIND"):
            answers.append(Client().generic(method, path))
        answers.append(Client(enforce_csrf_checks=True).post(path, {}))
        for mangled in (path.upper(), f"/mail{path}", path.replace("/accounts", "//accounts/")):
            answers.append(Client().get(mangled))
    assert Client().get(invitation).status_code == 200  # nothing of that used the link up

    def away(_token: str) -> None:
        raise OperationalError(f"server closed the connection: {token}")

    monkeypatch.setattr(views, "valid_invitation", away)
    answers.append(Client(raise_request_exception=False).get(invitation))
    monkeypatch.undo()
    callback = "/accounts/oidc/hospital/login/callback/?code=sign-on-code&state=sign-on-state"
    logging.getLogger("django.server").error('"GET %s HTTP/1.1" 500', callback)
    logging.getLogger("anything").error('"GET %s HTTP/1.1" 500', callback)
    lines = told()
    statuses = [answer.status_code for answer in answers]
    assert {403, 404, 405, 500} <= set(statuses)
    # Such a page has styles too, and the link still works: they are not told who asks for them.
    assert {answer.headers["Referrer-Policy"] for answer in answers} == {"strict-origin"}
    assert lines.count(MASK) >= len([one for one in statuses if one >= 400])
    assert "Method Not Allowed (OPTIONS): /accounts/invitation/***" in lines
    secrets = (token, key, "sign-on-code", "sign-on-state")
    assert not [one for one in secrets if one.casefold() in lines.casefold()], lines


@pytest.mark.django_db
def test_what_the_page_of_an_invitation_asks_for_does_not_say_which_page_asks() -> None:
    _, link = do_invite_user(None, "invited@example.org")
    path = link.removeprefix(settings.SITE_URL.rstrip("/"))
    assert Client().get(path).headers["Referrer-Policy"] == "strict-origin"
    callback = Client().get("/accounts/oidc/hospital/login/callback/?code=a&state=b")
    assert callback.headers["Referrer-Policy"] == "strict-origin"
    # The form comes from the page's own origin all the same.
    origin = {"Origin": "http://testserver", "Referer": "http://testserver/"}
    strict = Client(enforce_csrf_checks=True)
    strict.get(path)
    form = {"csrfmiddlewaretoken": strict.cookies["csrftoken"].value, "name": "", "password": ""}
    assert strict.post(path, form, headers=origin).status_code == 200


@pytest.mark.django_db
def test_no_page_has_a_word_of_its_own_on_what_browsers_say_of_it() -> None:
    """A <meta> would count instead of the header."""
    folders = [
        Path(folder)
        for folder in (*settings.TEMPLATES[0]["DIRS"], *get_app_template_dirs("templates"))
    ]
    found = [path for folder in folders for path in folder.rglob("*.html")]
    assert {"base.html", "500.html", "base_site.html"} <= {path.name for path in found}
    meta = re.compile(r"<meta[^>]*\breferrer\b", re.IGNORECASE)
    assert [path for path in found if meta.search(path.read_text(encoding="utf-8"))] == []
    head = Client()
    head.force_login(make_administrator())
    for address in ("/", "/accounts/", "/admin/", "/no/such/page/"):
        assert head.get(address).headers["Referrer-Policy"] == "same-origin", address


def fail() -> None:
    """An error with everything that Python prints of one."""
    try:
        try:
            raise KeyError(NAME)
        except KeyError as inner:
            inner.add_note(NAME)
            raise OSError(28, NAME, NAME) from inner
    except OSError:
        first, second = ValueError(NAME), IntegrityError(NAME)
        raise ExceptionGroup(NAME, [first, ExceptionGroup(NAME, [second])])  # noqa: B904


def test_a_trace_in_the_log_holds_kinds_and_places_and_no_message(
    told: Callable[[], str],
) -> None:
    log = logging.getLogger("anything")
    try:
        fail()
    except ExceptionGroup as error:
        log.exception("a page failed")
        log.error("the reason: %s", error.exceptions[0])
        log.error("the reason: %(why)s", {"why": error.exceptions[0]})
        log.error(error.exceptions[0])
        log.error(str(error), exc_info=error)  # as Django writes of a suspicious request
        record = log.makeRecord("", 40, "", 0, "again", (), (type(error), error, None))
        logging.Formatter().format(record)  # another handler's, which keeps what it made of it
        log.handle(record)
        # As Celery writes of a task that failed.
        failed = {"name": "wake", "exc": repr(error), "traceback": f"...{NAME}"}
        log.error("%(name)s raised: %(exc)s\n%(traceback)s", failed, exc_info=error)
    lines = told()
    assert NAME not in lines, lines
    for kind in ("KeyError", "OSError [ENOSPC]", "ExceptionGroup", "ValueError", "IntegrityError"):
        assert kind in lines
    assert "in fail" in lines
    assert "test_logs.py" in lines
    assert "the reason: ValueError" in lines
    assert "wake raised: ExceptionGroup" in lines


@pytest.mark.django_db
def test_what_fails_after_a_save_is_logged_by_its_kind(
    told: Callable[[], str], django_capture_on_commit_callbacks: Any
) -> None:
    def fail_after() -> None:
        raise RuntimeError(NAME)

    with django_capture_on_commit_callbacks() as callbacks, transaction.atomic():
        transaction.on_commit(fail_after, robust=True)
    (callback,) = callbacks
    try:
        callback()
    except RuntimeError as error:  # as Django writes it where it runs it itself
        logger = logging.getLogger("django.db.backends.base")
        logger.error(f"Error calling {callback.__qualname__} (%s).", error, exc_info=True)
    assert "fail_after (RuntimeError)" in told()
    assert NAME not in told()


def test_a_chain_that_leads_back_to_itself_ends() -> None:
    one, two = ValueError(NAME), TypeError(NAME)
    one.__cause__, two.__context__ = two, one
    group = ExceptionGroup(NAME, [one])
    one.__context__ = group
    assert NAME not in trace_of(group)
    assert kind_of(one) == "ValueError"


def test_gunicorns_own_lines_are_masked_too() -> None:
    """Its handlers and formats are its own, and go to the file that its command line names."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.Logger("gunicorn.access")
    logger.addHandler(handler)
    logger.addFilter(ForeignLines())
    path = "/accounts/invitation/one-use-token/"
    try:
        raise OSError(32, NAME)
    except OSError:
        logger.exception("Error handling request %s", path)
    atoms = {"r": f"GET {path} HTTP/1.1", "f": f"http://localhost{path}", "s": "200"}
    logger.info('%(h)s "%(r)s" %(s)s "%(f)s"', SafeAtoms(atoms))
    lines = stream.getvalue()
    assert "BrokenPipeError [EPIPE]" in lines
    assert '- "GET /accounts/invitation/*** HTTP/1.1" 200' in lines
    assert not [secret for secret in ("one-use-token", NAME) if secret in lines]


@pytest.mark.django_db
def test_two_who_invite_one_person_at_once_both_get_a_link(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other invites in the moment between the look and the new account."""
    coordinator = make_coordinator(make_study())
    look = services.check_invite_user
    links = []

    def meanwhile(email: str) -> User | None:
        monkeypatch.setattr(services, "check_invite_user", look)
        found = look(email)
        links.append(do_invite_user(None, email)[1])
        return found

    monkeypatch.setattr(services, "check_invite_user", meanwhile)
    user, link = do_invite_user(coordinator, "New@example.org", "New Person")
    assert User.objects.get(email="new@example.org") == user
    assert user.name == "New Person"
    paths = [one.removeprefix(settings.SITE_URL.rstrip("/")) for one in (*links, link)]
    # As of any two invitations, the later one counts.
    assert [Client().get(path).status_code for path in paths] == [404, 200]
    assert Event.objects.filter(action="accounts.invitation.sent").count() == 2


def test_the_log_says_what_a_wrong_host_was_called(told: Callable[[], str]) -> None:
    """Whoever sets ALLOWED_HOSTS looks for it there."""
    assert Client(headers={"Host": "wrong.example"}).get("/health").status_code == 400
    assert "wrong.example" in told()


@pytest.mark.django_db
def test_an_invitation_that_could_not_be_mailed_says_why_by_its_kind(
    told: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise ConnectionRefusedError(111, NAME)

    monkeypatch.setattr(services, "send_mail", away)
    with django_capture_on_commit_callbacks(execute=True):
        do_invite_user(None, "invited@example.org")
    assert "an invitation was not mailed: ConnectionRefusedError" in told()
    assert NAME not in told()
