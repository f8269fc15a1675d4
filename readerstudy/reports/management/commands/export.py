"""Write the bundle of a study's results to a folder: masked after the lock, then named."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from readerstudy.reports.exports import bundle, file_name
from readerstudy.reports.report import masked_report, named_report
from readerstudy.reports.services import record_download
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Study


class Command(BaseCommand):
    help = "Export the results of a locked study: one zip with tables, figures and a manifest."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("study", help="the study's address (slug) or title")
        parser.add_argument("--out", type=Path, required=True, help="folder to write to")

    def handle(self, *args: Any, **options: Any) -> None:
        name: str = options["study"]
        study = Study.objects.filter(slug=name).first() or Study.objects.filter(title=name).first()
        if study is None:
            raise CommandError(f"There is no study “{name}”.")
        if not study.is_locked:
            raise CommandError("Lock the study first: before that there are no results.")
        try:
            report = named_report(study) if study.is_unblinded else masked_report(study)
            content = bundle(study, report)
        except StudyError as error:
            raise CommandError(str(error)) from None
        path: Path = options["out"] / file_name(report, "bundle.zip")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror}.") from None
        sha256 = hashlib.sha256(content).hexdigest()
        record_download(study, None, report, path.name, sha256)
        self.stdout.write(f"{path}\nSHA-256 {sha256}")
