"""Write the bundle of a study's results to a folder: masked after the lock, then named."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from readerstudy.reports.export_services import write_export
from readerstudy.reports.exports import file_name
from readerstudy.reports.services import record_download
from readerstudy.studies.errors import StudyError
from readerstudy.studies.naming import HELP, study_of_command


class Command(BaseCommand):
    help = "Export the results of a locked study: one zip with tables, figures and a manifest."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("study", help=HELP)
        parser.add_argument("--out", type=Path, required=True, help="folder to write to")
        parser.add_argument(
            "--plan",
            type=int,
            metavar="VERSION",
            help="another signed version of the plan than the key's: marked post hoc if it is",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        study = study_of_command(options["study"])
        out: Path = options["out"]
        try:
            out.mkdir(parents=True, exist_ok=True)
            # Beside its place, so that a run that fails leaves no half a bundle there.
            handle, partial = tempfile.mkstemp(dir=out, prefix=".export-")
        except OSError as error:
            raise CommandError(f"{out} cannot be written: {error.strerror}.") from None
        try:
            with os.fdopen(handle, "w+b") as target:
                report, sha256 = write_export(target, study, None, self._progress, options["plan"])
            path = out / file_name(report, "bundle.zip")
            Path(partial).chmod(0o644)
            os.replace(partial, path)
        except StudyError as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"{out} cannot be written: {error.strerror}.") from None
        finally:
            Path(partial).unlink(missing_ok=True)
        record_download(study, None, report, path.name, sha256)
        self.stdout.write(f"{path}\nSHA-256 {sha256}")

    def _progress(self, done: int, total: int, message: str) -> None:
        if self.stderr.isatty():
            self.stderr.write(f"{done + 1}/{total} {message}")
