"""Bring the scores and region measurements of a finished study in from CSV files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from readerstudy.conduct.imports import do_import_study_tables
from readerstudy.studies.errors import StudyError
from readerstudy.studies.naming import HELP, study_of_command
from readerstudy.studies.tables import TableError, TableFile


class Command(BaseCommand):
    help = "Import scores and region measurements from CSV files: all of them or nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("study", help=HELP)
        parser.add_argument("--scores", type=Path, help="CSV: case, sequence, reader, …, score")
        parser.add_argument("--regions", type=Path, help="CSV: case, sequence, roi, mean, sd, …")

    def handle(self, *args: Any, **options: Any) -> None:
        study = study_of_command(options["study"])
        try:
            report = do_import_study_tables(
                study,
                None,
                scores=_file(options["scores"]),
                regions=_file(options["regions"]),
            )
        except TableError as error:
            for fault in error.faults:
                self.stderr.write(str(fault))
            raise CommandError(
                f"Nothing was imported: {len(error.faults)} faults, listed above."
            ) from None
        except StudyError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(
            f"{study.title}: {report.volunteers} volunteers ({report.new_volunteers} new), "
            f"{report.scores} scores, {report.measurements} region measurements."
        )
        for note in report.notes:
            self.stdout.write(note)


def _file(path: Path | None) -> TableFile | None:
    if path is None:
        return None
    try:
        return TableFile(path.name, path.read_bytes())
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.") from None
