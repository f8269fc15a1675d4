"""Having a bundle made in the background, and keeping those that were made.

One job a study at a time: asking again while one is under way gives that one. The data of a locked
study cannot change, so other jobs that still run do not touch what is exported.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import PurePosixPath
from typing import IO, Any, cast

from django.core.exceptions import PermissionDenied
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import transaction

from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.jobs.context import JobContext, JobError
from readerstudy.jobs.models import Job
from readerstudy.jobs.services import do_enqueue
from readerstudy.studies.access import roles_in
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Role, Study
from readerstudy.studies.services import lock_study

from .access import View, view_for, why_refused
from .bundles.contents import Progress, no_progress, write_bundle
from .export_models import Export
from .exports import file_name
from .report import Report, masked_report, named_report

KIND = "reports.export"
# Older bundles of a study are deleted: they can be made again, byte for byte.
KEPT = 5


def report_for(user: User | None, study: Study, version: int | None = None) -> Report:
    """The results in the form that this person gets. Raises `StudyError` or `PermissionDenied`.

    `version` asks, after unblinding, for another version of the plan than the key's.
    """
    view = view_for(user, study)
    if view is View.NAMED:
        return named_report(study, version)
    if view is View.MASKED:
        if version is not None:
            raise StudyError("Before unblinding there are results of the plan in force alone.")
        return masked_report(study)
    if view is View.REFUSED and user is not None:
        raise PermissionDenied(why_refused(user, study))
    raise StudyError("Lock the study first: before that there are no results.")


@transaction.atomic
def do_request_export(study: Study, actor: User | None, version: int | None = None) -> Export:
    """Have the bundle made; one that is under way for the same person is given back.

    `version` is that of the plan, where it is not the one that the key was opened under.
    """
    study = lock_study(study)
    view = view_for(actor, study)
    if view is View.REFUSED and actor is not None:
        raise PermissionDenied(why_refused(actor, study))
    if view is View.PROGRESS:
        raise StudyError("Lock the study first: before that there are no results.")
    if version is not None:
        report_for(actor, study, version)
    standing = Export.objects.filter(
        study=study,
        created_by=actor,
        plan_version=version,
        path="",
        job__state__in=[Job.State.QUEUED, Job.State.RUNNING],
    ).first()
    if standing:
        return standing
    export = Export.objects.create(study=study, created_by=actor, plan_version=version)
    export.job = do_enqueue(
        KIND,
        {"export": str(export.pk)},
        actor=actor,
        study_id=study.pk,
        label="Export bundle",
    )
    export.save(update_fields=["job"])
    return export


def make_export(context: JobContext, export_id: str) -> None:
    """The body of the job: writes the zip under the job's token, then publishes it."""
    export = Export.objects.select_related("study", "created_by").filter(pk=export_id).first()
    if export is None:
        raise JobError("The export was deleted.")
    study, actor = export.study, export.created_by
    try:
        report = report_for(actor, study, export.plan_version)
        with tempfile.TemporaryFile() as made:
            write_bundle(made, study, report, actor, context.progress)
            size = made.tell()
            sha256 = _sha256(made)
            name = file_name(report, "bundle.zip")
            path = default_storage.save(
                f"exports/{study.pk}/{context.token}/{name}", File(cast("IO[Any]", made), name)
            )
    except PermissionDenied as error:
        raise JobError(str(error)) from None
    except StudyError as error:
        raise JobError(str(error)) from None
    try:
        with context.publish() as result:
            export.name, export.path, export.size, export.sha256 = name, path, size, sha256
            export.is_masked = report.is_masked
            export.is_statisticians = actor is None or Role.STATISTICIAN in roles_in(actor, study)
            export.plan_sha256, export.data_sha256 = report.plan_sha256, report.data_sha256
            export.save()
            result.update(sha256=sha256, size=size)
            record(
                "reports.export.made",
                actor,
                study_id=study.pk,
                subject=export,
                new={
                    "file": name,
                    "sha256": sha256,
                    "masked": report.is_masked,
                    "post_hoc": bool(report.post_hoc),
                },
            )
    except BaseException:
        default_storage.delete(path)
        raise
    forget_old_exports(study)


def _sha256(file: IO[bytes]) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while chunk := file.read(1 << 20):
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()


def write_export(
    target: IO[bytes],
    study: Study,
    actor: User | None,
    progress: Progress = no_progress,
    version: int | None = None,
) -> tuple[Report, str]:
    """The bundle at once, for the command line: the report it came of, and its hash."""
    report = report_for(actor, study, version)
    write_bundle(target, study, report, actor, progress)
    return report, _sha256(target)


def forget_old_exports(study: Study) -> int:
    """Delete all but the newest bundles of a study, and those whose job is gone. How many."""
    ready = list(Export.objects.filter(study=study).exclude(path=""))
    old = ready[KEPT:]
    for export in old:
        path = export.path
        export.delete()
        # What is refused now, housekeeping deletes.
        transaction.on_commit(lambda path=path: _delete(path), robust=True)  # type: ignore[misc]
    return len(old)


def _delete(path: str) -> None:
    default_storage.delete(path)
    # The folder of the job's token, which held this one file.
    folder = str(PurePosixPath(path).parent)
    try:
        if not any(default_storage.listdir(folder)):
            default_storage.delete(folder)
    except OSError:
        return


def may_download(user: User, export: Export) -> bool:
    """Masked bundles to whoever sees masked results, named ones after unblinding; the readings'
    own records to the statistician alone."""
    view = view_for(user, export.study)
    if view not in {View.MASKED, View.NAMED} or not export.is_ready:
        return False
    if not export.is_masked and view is not View.NAMED:
        return False
    if not export.is_statisticians:
        return True
    return Role.STATISTICIAN in roles_in(user, export.study)


def exports_for(user: User, study: Study) -> list[Export]:
    """Bundles that this person may have, and those under way that this person asked for."""
    found = Export.objects.filter(study=study).select_related("job", "created_by", "study")
    return [
        export
        for export in found
        if may_download(user, export) or (not export.is_ready and export.created_by_id == user.pk)
    ]


def open_export(user: User, export: Export) -> IO[bytes]:
    """The file for a download, which is recorded once the storage has given it."""
    if not may_download(user, export):
        raise PermissionDenied("This bundle is not for you.")
    file = cast("IO[bytes]", default_storage.open(export.path, "rb"))
    record(
        "reports.export.downloaded",
        user,
        study_id=export.study_id,
        subject=export.study,
        new={
            "file": export.name,
            "sha256": export.sha256,
            "masked": export.is_masked,
            "plan_sha256": export.plan_sha256,
        },
    )
    return file
