"""``manage.py dicom_receiver``: scanners and archives send series to a study's inbox."""

from __future__ import annotations

import logging
import signal
import ssl
from pathlib import Path
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from readerstudy.imaging.receiving import Receiver, take_up_left_over
from readerstudy.jobs.stopping import Stop

log = logging.getLogger("readerstudy.receiver")


class Command(BaseCommand):
    help = (
        "Receive MR images over the network (DICOM C-STORE and C-ECHO). Titles are set on a "
        "study's page “Rules for images”: the called title chooses the study, and only senders "
        "named there may send. What is received waits, de-identified by the worker, in the inbox."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
        parser.add_argument("--port", type=int, default=11112)
        parser.add_argument(
            "--quiet", type=float, default=10.0, help="seconds of silence that end a batch"
        )
        parser.add_argument("--tls-certificate", type=Path, help="PEM; with --tls-key: DICOM TLS")
        parser.add_argument("--tls-key", type=Path)

    def handle(self, **options: Any) -> None:
        receiver = Receiver(options["quiet"])
        stopping = Stop()

        def stop(_number: int, _frame: FrameType | None) -> None:
            stopping.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        take_up_left_over()
        try:
            server = receiver.entity().start_server(
                (options["host"], options["port"]),
                block=False,
                evt_handlers=receiver.handlers(),  # type: ignore[arg-type]
                ssl_context=_tls(options["tls_certificate"], options["tls_key"]),
            )
        except OSError as error:
            raise CommandError(
                f"Cannot listen on {options['host']}:{options['port']}: {error.strerror}."
            ) from None
        self.stdout.write(f"Receiving on {options['host']}:{options['port']}.")
        self.stdout.flush()
        try:
            while not stopping.wait(min(1.0, max(options["quiet"] / 2, 0.05))):
                try:
                    receiver.finish_quiet()
                except DatabaseError as error:
                    log.error("database not usable, trying again: %s", type(error).__name__)
        finally:
            if server is not None:
                server.shutdown()
            receiver.finish_quiet(all_of_them=True)


def _tls(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise CommandError("TLS needs both --tls-certificate and --tls-key.")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError):
        raise CommandError("Certificate or key cannot be read.") from None
    return context
