"""Derive the reading order of a study anew and compare it with the stored one."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from readerstudy.reading.models import Randomisation
from readerstudy.reading.ordering import differences_from_stored
from readerstudy.studies.models import Study


class Command(BaseCommand):
    help = (
        "Derive the reading order of a study from its stored seed and constraints, and compare it "
        "with the stored permutation and items. Ends with 1 and names the differences if any."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("study", help="the study's address, e.g. lumbar")

    def handle(self, *args: Any, **options: Any) -> None:
        slug = options["study"]
        randomisation = Randomisation.objects.filter(study__slug=slug).first()
        if randomisation is None:
            if Study.objects.filter(slug=slug).exists():
                raise CommandError(
                    f"“{slug}” has no stored reading order yet: it is drawn when the study is "
                    "launched."
                )
            raise CommandError(
                f"There is no study “{slug}”. It is named as in the address of its pages, after "
                "/studies/."
            )
        found = differences_from_stored(randomisation)
        for difference in found:
            self.stderr.write(difference)
        if found:
            sys.exit(1)
        orders = sum(len(occasions) for occasions in randomisation.permutation.values())
        self.stdout.write(
            f"{slug}: the stored order of {orders} sessions is the one that its seed gives "
            f"({randomisation.algorithm}, SHA-256 {randomisation.sha256})."
        )
