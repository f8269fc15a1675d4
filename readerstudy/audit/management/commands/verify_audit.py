from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from readerstudy.audit.services import check_anchor, verify_chain


class Command(BaseCommand):
    requires_system_checks = ()  # of pages and addresses, which it has nothing to do with
    help = "Verifies the audit trail; exits 1 and names the row if one was altered or removed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--anchor",
            metavar="SEQUENCE:HASH",
            help="A head kept outside the database: finds a trail that was cut off at its end.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        found = verify_chain()
        fault = found.fault
        if not fault and options["anchor"]:
            sequence, _, head = options["anchor"].partition(":")
            if not sequence.isdecimal() or len(head) != 64:
                raise CommandError("--anchor is a row number, a colon and a hash of 64 digits.")
            fault = check_anchor(int(sequence), head)
        if fault:
            self.stderr.write(f"The audit trail is broken: {fault}.")
            self.stderr.write(f"{found.count} rows before it are sound.")
            sys.exit(1)
        self.stdout.write(f"The audit trail is sound: {found.count} rows, head {found.head}")
        if found.count:
            self.stdout.write(
                f"To be kept elsewhere and given next time: --anchor {found.count}:{found.head}"
            )
