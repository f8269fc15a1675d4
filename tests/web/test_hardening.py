"""Requests meant to do harm, secrets where they do not belong, and what audits may claim."""

from __future__ import annotations

import importlib.util
import json
import logging
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.test import Client
from django.test.client import FakePayload

from readerstudy.accounts.models import User
from readerstudy.web.logs import JsonFormatter, RequestIdFilter
from tests.factories import PASSWORD, make_coordinator, make_study

ROOT = Path(__file__).resolve().parents[2]


def of_ci(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


class Untouched(FakePayload):
    """A body that must not be read."""

    def read(self, *_: Any, **__: Any) -> bytes:
        raise AssertionError("the body was read")


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "application/json"])
@pytest.mark.parametrize("path", ["/accounts/login/", "/studies/none/uploads/", "/no/such/page/"])
def test_a_request_of_ten_gigabytes_is_refused_without_reading_it(path: str, kind: str) -> None:
    extra: dict[str, Any] = {"CONTENT_LENGTH": str(10 * 1024**3), "wsgi.input": Untouched(b"x")}
    answer = Client().generic("POST", path, b"x", kind, **extra)
    assert answer.status_code == 413
    assert "piece by piece" in answer.content.decode()
    assert len(answer.headers["X-Request-ID"]) == 32
    nonsense = Client().generic("POST", path, b"x", kind, CONTENT_LENGTH="-1")
    assert nonsense.status_code == 400


@pytest.mark.django_db
def test_no_password_token_or_code_reaches_the_log(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever is sent to the doors, well or badly, every line is read as the log writes it."""
    caplog.set_level(logging.DEBUG)
    study = make_study()
    coordinator: User = make_coordinator(study)
    secrets = ["pass-word-one", "rs_token-two", "code-three-33", "patient^four", PASSWORD]
    for login in (coordinator.email, secrets[3]):
        client.post("/accounts/login/", {"login": login, "password": secrets[0]})
    Client().get(f"/accounts/invitation/{secrets[2]}/")  # nobody is signed in there
    client.post("/accounts/login/", {"login": coordinator.email, "password": PASSWORD})
    client.get("/api/v1/studies/lumbar/", headers={"Authorization": f"Bearer {secrets[1]}"})
    client.post("/accounts/2fa/authenticate/", {"code": secrets[2]})
    client.post(f"/studies/{study.slug}/uploads/", {"volunteer_code": secrets[3]})
    client.get("/metrics", headers={"Authorization": f"Bearer {secrets[1]}"})
    formatter, filtered = JsonFormatter(), RequestIdFilter()
    own = ("readerstudy", "django.security", "django.request", "fido2", "allauth", "axes")
    lines = [
        formatter.format(record)
        for record in caplog.records
        if filtered.filter(record) and record.name.startswith(own)
    ]
    told = "\n".join(lines)
    assert "Not Found: /accounts/invitation/***" in told
    assert not [one for one in secrets if one in told], told


def test_no_secret_stands_in_the_tree() -> None:
    """Keys of the usual makers and private keys, in every file that is under version control."""
    patterns = [
        rb"-----BEGIN (RSA |EC |OPENSSH )?PRIVATE KEY-----",
        rb"AKIA[0-9A-Z]{16}",
        rb"gh[pousr]_[A-Za-z0-9]{36}",
        rb"xox[baprs]-[A-Za-z0-9-]{10,}",
        rb"(?m)^(SECRET_KEY|METRICS_TOKEN|S3_SECRET_KEY|OIDC_CLIENT_SECRET)=[^\s#]{12,}",
    ]
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
    ).stdout
    found = []
    for name in listed.decode().split("\0"):
        path = ROOT / name
        if not name or not path.is_file() or path.stat().st_size > 2 * 1024**2:
            continue
        content = path.read_bytes()
        found += [name for pattern in patterns if re.search(pattern, content)]
    assert found == [], "a secret in the tree is everybody's: remove and change it"


def test_an_audit_that_looked_nothing_up_never_says_clean() -> None:
    audit = of_ci("audit_dependencies")
    skipped = {"name": "django", "skip_reason": "Dependency not found"}
    found = {
        "name": "django",
        "version": "1.0",
        "vulns": [{"id": "PYSEC-2026-1", "fix_versions": ["1.1"]}],
    }
    away = audit.read_pip_audit(json.dumps({"dependencies": [skipped]}), "")
    assert (away.looked_at, away.not_looked_at, away.open_findings) == (0, 1, [])
    broken = audit.read_pip_audit("", "no answer within 25 s")
    assert broken.why_not == "no answer within 25 s"
    bad = audit.read_pip_audit(json.dumps({"dependencies": [found]}), "")
    assert bad.open_findings == ["PYSEC-2026-1 django 1.0, mended in 1.1"]
    refused = audit.read_npm_audit('{"message": "405 Method Not Allowed"}', "", 9)
    assert (refused.not_looked_at, refused.why_not) == (9, "405 Method Not Allowed")
    via = {"url": "https://example.org/advisories/GHSA-1", "severity": "high"}
    report = {"vulnerabilities": {"one": {"via": [via]}, "two": {"via": ["one"]}}}
    assert audit.read_npm_audit(json.dumps(report), "", 9).open_findings == ["GHSA-1 one high"]


def test_an_audit_asks_for_all_that_is_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    audit = of_ci("audit_dependencies")
    pinned = tmp_path / "requirements-elsewhere.txt"
    pinned.write_text("# Not here\nnowhere.installed[extra]==1.2.3  # why\n", encoding="utf-8")
    monkeypatch.setattr(audit, "REQUIREMENTS", [*audit.REQUIREMENTS, pinned])
    packages = audit.python_packages()
    assert packages["nowhere-installed"] == "1.2.3"
    assert {
        "django",
        "pip",
        "sqlparse",
        "urllib3",
    } <= packages.keys()  # pinned, and what these need
    assert not any("+" in version for version in packages.values())


@pytest.fixture
def list_of_weaknesses(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """OSV's interface, as pip-audit asks it: it knows of one package that is weak."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            package = {"ecosystem": "PyPI", "name": "sqlparse"}
            events = [{"introduced": "0"}, {"fixed": "999"}]
            affected = [{"package": package, "ranges": [{"type": "ECOSYSTEM", "events": events}]}]
            weak = {"id": "PYSEC-2026-1", "details": "It is weak.", "affected": affected}
            weak |= {"modified": "2026-01-01T00:00:00Z", "published": "2026-01-01T00:00:00Z"}
            found = {"vulns": [weak]} if asked["package"]["name"] == "sqlparse" else {}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(found).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield f"http://127.0.0.1:{server.server_port}/v1/query"
    server.shutdown()
    server.server_close()


def test_pip_audit_finds_what_a_copy_of_the_list_knows(list_of_weaknesses: str) -> None:
    audit = of_ci("audit_dependencies").audit_python(list_of_weaknesses)
    assert audit.not_looked_at == 0, audit.why_not
    assert audit.looked_at > 100
    installed = version("sqlparse")
    assert audit.open_findings == [f"PYSEC-2026-1 sqlparse {installed}, mended in 999"]


def test_the_bill_of_materials_is_valid_and_holds_every_pin_of_a_site() -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    sbom = of_ci("sbom")
    made = sbom.bill()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(made)) is None
    # A build of torch for one kind of machine says so behind a plus.
    addresses = {component["purl"].split("%2B")[0] for component in made["components"]}
    for pin in sbom.pins():
        version = next(iter(pin.specifier)).version
        assert f"pkg:pypi/{sbom._normal(pin.name)}@{version}" in addresses
    assert any(one.startswith("pkg:npm/htmx.org@") for one in addresses)
    assert not any("pytest@" in one or "playwright@" in one for one in addresses)
    assert json.dumps(made) == json.dumps(sbom.bill())
