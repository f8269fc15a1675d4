"""Hold a locked study to what was frozen, signed and opened."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from readerstudy.reports.snapshots import standing_snapshot
from readerstudy.reports.verifying import verify_study
from readerstudy.studies.models import Study
from readerstudy.studies.naming import HELP, study_of_command


class Command(BaseCommand):
    requires_system_checks = ()  # of pages and addresses, which it has nothing to do with
    help = (
        "Verifies the frozen data, the signed plan and the unblinding of a locked study, row by "
        "row; exits 1 and names what differs."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("study", nargs="?", help=HELP)
        parser.add_argument("--all", action="store_true", help="every locked study")

    def handle(self, *args: Any, **options: Any) -> None:
        broken = False
        for study in self._studies(options["study"], options["all"]):
            faults = verify_study(study)
            for fault in faults:
                self.stderr.write(f"{study.slug}: {fault}")
            broken = broken or bool(faults)
            snapshot = standing_snapshot(study)
            if not faults and snapshot is not None:
                # Until the key is open the hash of the named data would open it.
                shown = snapshot.sha256 if study.is_unblinded else snapshot.commitment
                word = "SHA-256" if study.is_unblinded else "commitment"
                self.stdout.write(
                    f"{study.slug}: the frozen data, the plan and the stored rows are sound: "
                    f"{word} {shown}"
                )
        if broken:
            sys.exit(1)

    def _studies(self, name: str | None, every: bool) -> list[Study]:
        if every:
            return [study for study in Study.objects.order_by("slug") if study.is_locked]
        if not name:
            raise CommandError("Name a study, or give --all.")
        return [study_of_command(name)]
