"""``manage.py ingest STUDY PATH``: the way of a browser's upload, from a folder, file or zip."""

from __future__ import annotations

import json
import os
import time
import uuid
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import QuerySet

from readerstudy.imaging.errors import ImagingError
from readerstudy.imaging.models import InboxSeries, Series, Upload, UploadedFile
from readerstudy.imaging.parsing.archives import is_clutter, shown_name
from readerstudy.imaging.selectors import off_the_control
from readerstudy.imaging.upload_history import sent_together
from readerstudy.imaging.uploads import do_take_files
from readerstudy.jobs.models import Job
from readerstudy.jobs.worker import run_pending
from readerstudy.studies.access import Reach
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Study
from readerstudy.studies.naming import HELP, study_of_command

LINK = "This is a link to something elsewhere: links are not followed."
NO_FILE = "This is neither a file nor a folder."
CLOSED = "The file cannot be read: whoever runs this command may not open it."


class Command(BaseCommand):
    help = (
        "Read a folder, file or zip of DICOM images, or files of raw data (ISMRMRD, NumPy), into a "
        "study that is still a draft. Without "
        "--volunteer and --arm a mapping file, a pattern or the folders decide: VOLUNTEER/ARM/…. "
        "What has no place waits in the study's inbox. Prints a JSON summary; refused files are "
        "listed with their reasons. Ends with an error where nothing was taken."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("study", help=HELP)
        parser.add_argument("path", type=Path)
        parser.add_argument("--volunteer", default="")
        parser.add_argument("--arm", default="", help="arm code")
        parser.add_argument("--site", default="", help="code of the site of new volunteers")
        parser.add_argument(
            "--mapping", type=Path, help="CSV with the columns path, volunteer and arm"
        )
        parser.add_argument(
            "--pattern",
            default="",
            help="folders with {volunteer} and {arm}: '{volunteer}/*{arm}*'",
        )

        parser.add_argument(
            "--deidentification",
            action="store_true",
            help="add what was removed and replaced of every series, by rule and count",
        )

    def handle(self, **options: Any) -> None:
        study = study_of_command(options["study"])
        arm = None
        if options["arm"]:
            arm = study.arms.filter(code__iexact=options["arm"]).first()
            if arm is None:
                codes = ", ".join(study.arms.values_list("code", flat=True))
                raise CommandError(f"There is no arm “{options['arm']}”: the arms are {codes}.")
        site = None
        if options["site"]:
            site = study.sites.filter(code__iexact=options["site"]).first()
            if site is None:
                codes = ", ".join(study.sites.values_list("code", flat=True)) or "none"
                raise CommandError(f"There is no site “{options['site']}”: the sites are {codes}.")
        if not options["path"].exists():
            raise CommandError(f"There is no {options['path']}.")
        files, left_out = _files(options["path"])
        if not files:
            raise CommandError(f"{options['path']} holds no file that can be read.")
        names = {uuid.uuid4(): name for name, _path in files}
        try:
            job = do_take_files(
                study,
                files,
                None,
                volunteer=options["volunteer"],
                arm=arm,
                site=site,
                mapping=_mapping(options["mapping"]),
                mapping_name=Path(options["mapping"]).name if options["mapping"] else "",
                pattern=options["pattern"],
                left_out=left_out,
                ids=list(names),
            )
        except (ImagingError, StudyError) as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(
                f"The files could not be copied into the platform's storage: {error.strerror}. "
                "Nothing was taken."
            ) from None
        _wait(job)
        summary = _summary(study, job, names, with_report=options["deidentification"])
        self.stdout.write(json.dumps(summary, indent=2, ensure_ascii=False))
        if job.state != Job.State.SUCCEEDED:
            raise CommandError(job.error or "The files could not be read.")
        if summary["refused"] and not summary["accepted"]:
            raise CommandError("Nothing was taken: every file was refused, for the reasons above.")


def _mapping(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise CommandError(f"{path} is no CSV text in UTF-8.") from None


def _files(path: Path) -> tuple[list[tuple[str, Path]], list[tuple[str, str]]]:
    """Name and place of every file, and what is left out, with the reason: links are not followed,
    and one file that may not be opened does not stop the others.

    A name starts with the folder itself, as a browser sends a folder: it may be the volunteer.
    """
    if path.is_file():
        return [(path.name, path)], []
    found, left_out = [], []
    top = path.resolve().name
    for folder, folders, names in os.walk(path, followlinks=False):
        for name in [*folders, *names]:
            item = Path(folder) / name
            shown = (Path(top) / item.relative_to(path)).as_posix()
            if is_clutter(shown):
                continue
            if item.is_symlink():
                left_out.append((shown_name(shown), LINK))
            elif item.is_file() and not os.access(item, os.R_OK):
                left_out.append((shown_name(shown), CLOSED))
            elif item.is_file():
                found.append((shown, item))
            elif not item.is_dir():
                left_out.append((shown_name(shown), NO_FILE))
    return sorted(found), sorted(left_out)


def _wait(job: Job) -> None:
    """Run waiting jobs here until ours is over; a worker elsewhere may well be faster."""
    while not job.is_over:
        if run_pending("cpu", limit=1) == 0:
            time.sleep(0.2)
        job.refresh_from_db()


def _summary(
    study: Study, job: Job, names: dict[uuid.UUID, str], *, with_report: bool
) -> dict[str, Any]:
    uploads = Upload.objects.filter(job=job)
    files = UploadedFile.objects.filter(upload__in=uploads)
    (record,) = sent_together(Reach(study), uploads[0].batch)
    stored = Series.objects.filter(upload__in=uploads).select_related("volunteer", "arm")
    waiting = InboxSeries.objects.filter(upload__in=uploads).select_related("arm_guess")
    return {
        "state": record["outcome"],
        "series": [
            {
                "volunteer": series.volunteer.code,
                "arm": series.arm.code,
                "from": _from(files, f"{series.volunteer.code}/{series.arm.code}", names),
                "matrix": [series.rows, series.columns],
                "slices": series.slices,
                "differs": off_the_control(series),
                **({"deidentification": series.deidentification} if with_report else {}),
            }
            for series in stored
        ],
        "inbox": [
            {
                "number": series.number,
                "from": _from(files, f"inbox {series.number}", names),
                "matrix": [series.rows, series.columns],
                "slices": series.slices,
                "volunteer_guess": series.volunteer_guess,
                "arm_guess": series.arm_guess.code if series.arm_guess else "",
                "note": series.note,
                "suspicions": series.suspicions,
                **({"deidentification": series.deidentification} if with_report else {}),
            }
            for series in waiting
        ],
        "accepted": record["accepted"],
        "refused": list(files.filter(accepted=False).values("name", "reason")),
        "unmatched": record["unmatched"],
    }


def _from(files: QuerySet[UploadedFile], place: str, names: dict[uuid.UUID, str]) -> str:
    """The folder, file or zip that a series came from: what is stored knows it no more."""
    own = files.filter(name__startswith=f"{place}/").values_list("upload", flat=True).distinct()
    sent = sorted(names[key] for key in own if key in names)
    if len(sent) < 2:
        return "".join(sent)
    return os.path.commonpath([os.path.dirname(name) for name in sent])
