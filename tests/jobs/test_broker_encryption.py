"""amqps:// and rediss://: nobody but the broker that the address names is talked to."""

from __future__ import annotations

import contextlib
import datetime
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.utils import timezone

from readerstudy.jobs import broker

ROOT = Path(__file__).resolve().parents[2]
LIMIT_SECONDS = 60


class Authority:
    """An authority of its own, which signs certificates for whatever name it is asked."""

    def __init__(self, home: Path, name: str) -> None:
        self.home = home
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.key = ec.generate_private_key(ec.SECP256R1())
        own = self._signed(self.name, self.key).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self.file = self._write(f"{name}.pem", own)

    def server(self, host: str) -> Path:
        """Certificate and key in one file."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        names = x509.SubjectAlternativeName([x509.DNSName(host)])
        file = self._write(f"{host}.pem", self._signed(subject, key).add_extension(names, False))
        with file.open("ab") as lines:
            lines.write(
                key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            )
        return file

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey
    ) -> x509.CertificateBuilder:
        now = timezone.now()
        return x509.CertificateBuilder(
            issuer_name=self.name,
            subject_name=subject,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - datetime.timedelta(days=1),
            not_valid_after=now + datetime.timedelta(days=1),
        )

    def _write(self, name: str, builder: x509.CertificateBuilder) -> Path:
        file = self.home / name
        file.write_bytes(
            builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )
        return file


class Listener:
    """Takes TLS connections and keeps the first bytes that each says inside, then hangs up."""

    def __init__(self, certificate: Path) -> None:
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(certificate)
        self.heard: list[bytes] = []
        self.came = 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def _listen(self) -> None:
        while True:
            try:
                caller, _ = self.socket.accept()
            except OSError:
                return
            self.came += 1
            caller.settimeout(LIMIT_SECONDS)
            with (
                caller,
                contextlib.suppress(OSError),
                self.context.wrap_socket(caller, server_side=True) as inside,
            ):
                self.heard.append(inside.recv(8))

    def stop(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)  # wakes who waits for the next caller
        self.socket.close()
        self.thread.join(LIMIT_SECONDS)
        assert not self.thread.is_alive()


@pytest.fixture
def listening() -> Iterator[Callable[[Path], Listener]]:
    running: list[Listener] = []

    def listen(certificate: Path) -> Listener:
        running.append(Listener(certificate))
        return running[-1]

    yield listen
    for one in running:
        with contextlib.suppress(OSError):
            one.stop()


@pytest.mark.parametrize("scheme", ["amqps", "rediss"])
@pytest.mark.parametrize("make", [broker._application, broker._sender])
def test_a_broker_with_another_authority_or_name_is_told_nothing(
    scheme: str,
    make: Callable[[], Celery],
    settings: Any,
    tmp_path: Path,
    listening: Callable[[Path], Listener],
) -> None:
    ours, theirs = Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")
    settings.BROKER_CA_FILE = str(ours.file)

    def heard_with(certificate: Path) -> tuple[list[bytes], BaseException]:
        """What it was told, and how the attempt ended: nobody answers, so that it always fails."""
        listener = listening(certificate)
        settings.BROKER_URL = f"{scheme}://someone:secret@localhost:{listener.port}/"
        app = make()
        app.conf.broker_connection_timeout = LIMIT_SECONDS
        with (
            pytest.raises(broker.BROKER_ERRORS) as failed,
            app.connection_for_write() as connection,
        ):
            connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
        listener.stop()
        assert listener.came
        return listener.heard, failed.value

    heard, _ = heard_with(ours.server("localhost"))
    assert {word[:1] for word in heard} == {b"A" if scheme == "amqps" else b"*"}  # a greeting

    for certificate in (theirs.server("localhost"), ours.server("elsewhere.example")):
        heard, error = heard_with(certificate)
        assert heard == []
        assert "SSLCertVerificationError" in broker.kind_of(error)
        assert "secret" not in broker.kind_of(error)


def test_without_a_file_the_systems_authorities_are_asked(
    settings: Any, tmp_path: Path, listening: Callable[[Path], Listener]
) -> None:
    """Which know nothing of one made here."""
    settings.BROKER_CA_FILE = ""
    listener = listening(Authority(tmp_path, "ours").server("localhost"))
    for scheme in ("amqps", "rediss"):
        settings.BROKER_URL = f"{scheme}://someone:secret@localhost:{listener.port}/"
        with (
            pytest.raises(broker.BROKER_ERRORS, match="CERTIFICATE_VERIFY_FAILED"),
            broker._sender().connection_for_write() as connection,
        ):
            connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
    listener.stop()
    assert listener.heard == []


@pytest.mark.parametrize(
    ("address", "file", "said"),
    [
        ("amqps://someone:hidden@broker/", "/nowhere/ca.pem", "no file that this user can read"),
        ("amqps://someone:hidden@broker/", str(ROOT), "no file that this user can read"),
        ("amqp://someone:hidden@broker/", __file__, "without TLS"),
    ],
)
def test_a_file_of_authorities_that_would_not_be_used_is_refused(
    tmp_path: Path, address: str, file: str, said: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import readerstudy.settings"],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "READERSTUDY_VAR": str(tmp_path),
            "TASKS": "celery",
            "BROKER_URL": address,
            "BROKER_CA_FILE": file,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert said in done.stderr
    assert "hidden" not in done.stderr
