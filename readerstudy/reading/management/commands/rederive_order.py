"""Derive the reading order of a study anew and compare it with the stored one."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from readerstudy.reading.models import Randomisation
from readerstudy.reading.ordering import differences_from_stored
from readerstudy.studies.naming import HELP, study_of_command


class Command(BaseCommand):
    help = (
        "Derive the reading order of a study from its stored seed and constraints, and compare it "
        "with the stored permutation and items. Ends with 1 and names the differences if any."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("study", help=HELP)

    def handle(self, *args: Any, **options: Any) -> None:
        study = study_of_command(options["study"])
        randomisation = Randomisation.objects.filter(study=study).first()
        if randomisation is None:
            raise CommandError(
                f"“{study.slug}” has no stored reading order yet: it is drawn when the study is "
                "launched."
            )
        found = differences_from_stored(randomisation)
        for difference in found:
            self.stderr.write(difference)
        if found:
            sys.exit(1)
        orders = sum(len(occasions) for occasions in randomisation.permutation.values())
        self.stdout.write(
            f"{study.slug}: the stored order of {orders} sessions is the one that its seed gives "
            f"({randomisation.algorithm}, SHA-256 {randomisation.sha256})."
        )
