"""One archive of the whole installation: database and storage, checked after it was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from readerstudy.jobs.stopping import sigterm_as_ctrl_c
from readerstudy.reports.backup.content import BackupError
from readerstudy.reports.backup.writing import check_backup, write_backup


class Command(BaseCommand):
    requires_system_checks = ()  # of pages and addresses, which it has nothing to do with
    help = "Back database and storage up into one file, and check it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "file",
            type=Path,
            help="for example backup-2026-03-01.tar.gz; or a folder, for one named by the time",
        )
        parser.add_argument(
            "--check", action="store_true", help="only check a backup that is there"
        )
        parser.add_argument(
            "--incomplete",
            action="store_true",
            help="go on though images that the database names are lost",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        if not options["check"]:
            path = _named(path)
        try:
            with sigterm_as_ctrl_c():
                if options["check"]:
                    found = check_backup(path)
                else:
                    found = write_backup(path, self._say, is_incomplete=options["incomplete"])
        except BackupError as error:
            raise CommandError(str(error)) from None
        except KeyboardInterrupt:
            stopped = "not checked to its end" if options["check"] else "there is no backup"
            raise CommandError(f"Stopped: {stopped}.", returncode=130) from None
        self.stdout.write(
            f"{path}: {found['rows']} rows of {len(found['tables'])} tables, "
            f"{len(found['storage'])} files; every hash holds."
        )
        self.stdout.write("Keep SECRET_KEY (or var/secret_key) apart: it is not in the backup.")

    def _say(self, text: str) -> None:
        if self.stderr.isatty():
            self.stderr.write(text)


def _named(path: Path) -> Path:
    """The file to write: in a folder, one named by the time.

    A folder that is not there, as of a share that is not mounted, must not become a file.
    """
    if path.is_dir():
        return path / f"readerstudy-{timezone.localtime():%Y-%m-%d-%H%M%S}.tar.gz"
    if not path.name.endswith((".tar.gz", ".tgz")):
        raise CommandError(
            f"{path} is no folder that is there, nor a name that ends in .tar.gz. Is the place "
            "for backups mounted?"
        )
    return path
