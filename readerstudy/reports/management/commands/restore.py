"""Put a backup back: all of it or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from readerstudy.jobs.stopping import sigterm_as_ctrl_c
from readerstudy.reports.backup.content import BackupError
from readerstudy.reports.backup.restoring import restore_backup
from readerstudy.reports.backup.writing import LAID


class Command(BaseCommand):
    requires_system_checks = ()  # of pages and addresses, which it has nothing to do with
    help = "Restore a backup into an empty installation, or with --replace over what is there."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="a file that manage.py backup wrote")
        parser.add_argument(
            "--replace", action="store_true", help="delete what is there: people, studies, files"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        try:
            with sigterm_as_ctrl_c():
                found = restore_backup(
                    path, replace=options["replace"], say=self._say, foretell=self._foretell
                )
        except BackupError as error:
            raise CommandError(str(error)) from None
        except KeyboardInterrupt:
            raise CommandError(
                "Stopped: nothing was restored, and what was there is there.", returncode=130
            ) from None
        self.stdout.write(
            f"Restored {found['rows']} rows of {len(found['tables'])} tables and "
            f"{len(found['storage'])} files of {found['made_at']}; the audit trail is sound."
        )
        if found["left_over"]:
            self.stdout.write(
                f"Files of before are not all deleted ({found['left_over']}): in a bucket the "
                f"workers' housekeeping does it; in STORAGE_DIR the next restore, or delete "
                f"{LAID}* there yourself."
            )
        if found["tokens_ended"]:
            self.stdout.write(
                "Tokens of the API that stood in the backup, perhaps revoked since, stand no more: "
                f"{found['tokens_ended']}."
            )
        if found["other_keys"]:
            self.stdout.write(_of_other_keys(found["other_keys"]))
        self.stdout.write(self._to_do_again(found, options["replace"]))
        if found["stop_came_late"]:
            self.stdout.write("The stop came too late: all of it is restored.")
        self.stdout.write("Start the workers and the web processes again.")

    def _foretell(self, lines: list[str]) -> None:
        """Before it begins: whatever happens to the screen or this process later, it was said."""
        if lines:
            self.stdout.write(
                "Done since the backup was made, undone by this restore, and to be done again "
                "after it:" + _listed(lines)
            )
            self.stdout.flush()

    def _to_do_again(self, found: dict[str, Any], was_replaced: bool) -> str:
        if found["undone"]:
            return (
                "The list from above once more, which the restore's own event in the audit trail "
                "holds too. Done since then, undone by this, and to be done again:"
                + _listed(found["undone"])
            )
        if was_replaced:
            return (
                "The trail that was replaced tells of nothing since that is to be done again: "
                "nobody withdrew, lost access or changed what opens an account, no images were "
                "deleted, no study was locked or unblinded, nobody was excluded."
            )
        return (
            "Whoever withdrew or lost access since then has images or an account again: only your "
            "own records tell who, do it again."
        )

    def _say(self, text: str) -> None:
        if self.stderr.isatty():
            self.stderr.write(text)


def _listed(lines: list[str]) -> str:
    return "".join(f"\n- {line}" for line in lines)


def _of_other_keys(names: list[str]) -> str:
    told = f"{' and '.join(names)} of this installation: not of the one that was backed up. "
    if "DEIDENTIFICATION_KEY" in names:
        return told + (
            "Set the same before anybody uploads: else new images of a volunteer get other "
            "pseudonymous UIDs than those that are here, and nobody is known again by a header."
        )
    return told + (
        "Nothing of the backup is lost by it: everybody signs in again, as after every restore, "
        "and links that were mailed to set a new password hold no longer."
    )
