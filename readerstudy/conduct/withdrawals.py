"""A volunteer withdraws: the images are erased, and the trace says that it was done.

In a draft nothing of the volunteer stays but the trace. After the launch the stored order and what
readers have answered stay, as results that were given with consent; the images go all the same,
items that nobody has read yet are closed without an answer, and nobody can open the others again.
After the lock the frozen data stay as they are: whether the volunteer counts, an exclusion says.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Sequence
from functools import partial

from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.imaging.inbox import delete_inbox_row
from readerstudy.imaging.inbox_selectors import waiting_of
from readerstudy.imaging.ingest import delete_raws
from readerstudy.imaging.models import (
    ERASED_NAME,
    FILE_NAME,
    InboxSeries,
    Series,
    Upload,
    UploadedFile,
    Volunteer,
)
from readerstudy.imaging.readings import Readings, having_read
from readerstudy.imaging.refreshing import refresh_display
from readerstudy.imaging.services import delete_series_row
from readerstudy.imaging.store_away import StoreAway
from readerstudy.imaging.volumes import delete_files
from readerstudy.jobs.locks import hold_open_jobs
from readerstudy.measurements.models import Measurement, Region
from readerstudy.reading.models import Item, Session
from readerstudy.studies.access import Reach, require_reach, require_site
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Study
from readerstudy.studies.services import lock_study
from readerstudy.variants.raw_services import delete_raw_of

from .models import Participant, Withdrawal
from .readiness import uploads_in_work

log = logging.getLogger("readerstudy.conduct")
REASON_LENGTH = 300
WITHDREW = "the volunteer withdrew"
ERASED_REASON = "Refused; name and reason were erased: the volunteer withdrew."


def check_withdraw(volunteer: Volunteer, study: Study, actor: User | None, reason: str) -> Reach:
    reach = require_reach(actor, study)
    require_site(actor, study, volunteer.site_id)
    if not reason or len(reason) > REASON_LENGTH:
        raise StudyError(
            f"Say why or at whose wish {volunteer.code} withdraws, in {REASON_LENGTH} characters "
            "and without a name."
        )
    withdrawn = Withdrawal.objects.filter(study=study, volunteer_code=volunteer.code)
    if not study.is_draft and withdrawn.exists():
        raise StudyError(f"{volunteer.code} has withdrawn already.")
    if uploads_in_work(Reach(study)):
        raise StudyError(
            "An upload is being read and could bring images of this volunteer: wait until it is "
            "done, or cancel it."
        )
    if InboxSeries.objects.filter(study=study, state=InboxSeries.State.ASSIGNING).exists():
        raise StudyError(
            "Series of the inbox are being stored, this volunteer's perhaps among them: wait until "
            "that is done."
        )
    return reach


def do_withdraw(volunteer: Volunteer, actor: User | None, reason: str) -> Withdrawal:
    """Erase a volunteer's images for good. Raises StudyError or PermissionDenied."""
    return having_read(partial(_withdraw, volunteer, actor, reason.strip()))


def _withdraw(
    volunteer: Volunteer, actor: User | None, reason: str, readings: Readings
) -> Withdrawal:
    with transaction.atomic():
        study = lock_study(volunteer.study)
        hold_open_jobs(study.pk)
        volunteer = Volunteer.objects.get(pk=volunteer.pk)
        volunteer.study = study
        reach = check_withdraw(volunteer, study, actor, reason)
        withdrawal = Withdrawal(
            study=study, volunteer_code=volunteer.code, reason=reason, withdrawn_by=actor
        )
        found = _series_of(volunteer)
        for one in found:
            readings.want(*_files_of(one))
        readings.demand()
        withdrawal.series = [_description(one, readings) for one in found]
        waiting, left = waiting_of(volunteer, reach)
        numbers = [row.number for row in waiting]
        withdrawal.left_waiting = [str(row.pk) for row in left]
        withdrawal.pending = _delete_rows(volunteer, study, actor, waiting)
        if study.is_draft:
            _forget(volunteer)
        else:
            if not study.is_locked:  # nobody reads any more, and the order is frozen
                withdrawal.closed_items = _close_items(volunteer)
            Participant.objects.filter(volunteer=volunteer).delete()
            refresh_display(
                volunteer, readings
            )  # without a control: empty, and nothing can be shown
        withdrawal.save(force_insert=True)
        record(
            "conduct.volunteer.withdrawn",
            actor,
            study_id=study.pk,
            subject=withdrawal,
            new={
                "volunteer": withdrawal.volunteer_code,
                "series": withdrawal.series,
                "closed_items": withdrawal.closed_items,
                "inbox": numbers,
                "inbox_left": [row.number for row in left],
            },
            why=reason,
        )
        # No partial: what fails is logged by the name of the function, which a partial has not.
        transaction.on_commit(lambda: erase(withdrawal.pk), robust=True)
    withdrawal.refresh_from_db()
    return withdrawal


def _series_of(volunteer: Volunteer) -> list[Series]:
    """Acquired arms first: with them goes what was derived from them."""
    found = Series.objects.filter(volunteer=volunteer).select_related("arm")
    return list(found.order_by("arm__kind", "arm__position"))


def _description(series: Series, readings: Readings) -> dict[str, object]:
    return {
        "arm": series.arm.code,
        "volume_sha256": series.volume_sha256,
        "dicom_files": readings.of(*_files_of(series)),
    }


def _files_of(series: Series) -> tuple[tuple[str, str], Callable[[], int]]:
    """How many files storage holds of it: nothing is ever written to a prefix that has a row."""
    return ("files", series.prefix), partial(_count_files, f"{series.prefix}/dicom")


def _count_files(folder: str) -> int:
    return len(default_storage.listdir(folder)[1]) if default_storage.exists(folder) else 0


def _delete_rows(
    volunteer: Volunteer, study: Study, actor: User | None, waiting: Sequence[InboxSeries]
) -> list[str]:
    """The rows of all series; returns the prefixes of the files that have to follow."""
    prefixes: list[str] = []
    _forget_files(volunteer, waiting)
    for series in _series_of(volunteer):
        if Series.objects.filter(pk=series.pk).exists():
            series.volunteer = volunteer
            delete_series_row(series, actor, prefixes, why=WITHDREW)
    delete_raw_of(volunteer, actor, prefixes, why=WITHDREW)
    # What was being sent for them and is not read yet.
    coming = Upload.objects.filter(
        Q(site=None) | Q(site=volunteer.site_id),
        study=study,
        state=Upload.State.RECEIVING,
        volunteer_code__iexact=volunteer.code,
    )
    keys = list(coming.values_list("pk", flat=True))
    coming.update(state=Upload.State.CANCELLED, name=FILE_NAME)
    transaction.on_commit(lambda: delete_raws(keys), robust=True)
    for row in waiting:
        prefixes.append(row.prefix)
        delete_inbox_row(row, actor, WITHDREW)
    return prefixes


def _forget_files(volunteer: Volunteer, waiting: Sequence[InboxSeries]) -> None:
    """The history of the uploads keeps how many files were taken and refused, and nothing that
    leads to the volunteer: of the files taken the place, of those refused the hospital's own name,
    which may be the person's. What was refused of others keeps its name and reason, and so does
    what another site sent under the same code: that is another person's."""
    files = UploadedFile.objects.filter(upload__study=volunteer.study_id)
    theirs = Q(name__istartswith=f"{volunteer.code}/")
    for row in waiting:
        theirs |= Q(name__startswith=f"inbox {row.number}/")
    taken = files.filter(theirs, accepted=True)
    batches = set(taken.values_list("upload__batch", flat=True))
    batches |= set(
        Series.objects.filter(volunteer=volunteer).values_list("upload__batch", flat=True)
    )
    taken.update(name=ERASED_NAME)
    with_others = files.filter(upload__batch__in=batches - {None}, accepted=True)
    shared = set(with_others.exclude(name=ERASED_NAME).values_list("upload__batch", flat=True))
    sent_for = Q(upload__volunteer_code__iexact=volunteer.code)
    in_folder = Q(name__istartswith=f"{volunteer.code}/") | Q(name__icontains=f"/{volunteer.code}/")
    alone = Q(upload__batch__in=batches - shared - {None})
    of_site = Q(upload__site=None) | Q(upload__site=volunteer.site_id)
    refused = files.filter((sent_for | in_folder) & of_site | alone, accepted=False)
    uploads = list(refused.values_list("upload", flat=True))
    refused.update(name=ERASED_NAME, reason=ERASED_REASON)
    # One that was refused as a whole kept its name, and says the reason itself.
    failed = Upload.objects.filter(pk__in=uploads, state=Upload.State.FAILED)
    failed.update(name=FILE_NAME, error=ERASED_REASON)


def _forget(volunteer: Volunteer) -> None:
    Measurement.objects.filter(volunteer=volunteer).delete()
    Region.objects.filter(volunteer=volunteer).delete()
    volunteer.delete()


def _close_items(volunteer: Volunteer) -> int:
    """Items that nobody has read yet are closed without an answer, so that readers can go on."""
    now = timezone.now()
    unread = Item.objects.filter(volunteer=volunteer, submitted_at=None)
    sessions = list(unread.values_list("session", flat=True).distinct().order_by())
    closed = unread.update(submitted_at=now)
    Session.objects.filter(pk__in=sessions, completed_at=None).exclude(
        items__submitted_at=None
    ).update(completed_at=now)
    return closed


# --- The files ------------------------------------------------------------------------------------


def erase(withdrawal_id: uuid.UUID) -> bool:
    """Delete the files that are left, look that they are gone, and write it down.

    What cannot be deleted now stays pending and is tried again by the workers.
    """
    try:
        return _erase(withdrawal_id)
    except StoreAway:
        return False


def _erase(withdrawal_id: uuid.UUID) -> bool:
    """Raises StoreAway at the first prefix for which the storage does not answer, once it is
    written down what was deleted before: each of the others would be waited for as long."""
    withdrawal = Withdrawal.objects.get(pk=withdrawal_id)
    if withdrawal.erased_at is not None:
        return True
    left = list(withdrawal.pending)
    away: StoreAway | None = None
    for prefix in withdrawal.pending:
        try:
            if _gone(prefix):
                left.remove(prefix)
        except StoreAway as error:
            away = error
            break
    with transaction.atomic():
        withdrawal = Withdrawal.objects.select_for_update().get(pk=withdrawal_id)
        if withdrawal.erased_at is not None:
            return True
        withdrawal.pending = left
        if not left:
            withdrawal.erased_at = timezone.now()
            record(
                "conduct.volunteer.erased",
                None,
                study_id=withdrawal.study_id,
                subject=withdrawal,
                new={
                    "volunteer": withdrawal.volunteer_code,
                    "series": len(withdrawal.series),
                },
            )
        withdrawal.save(update_fields=["pending", "erased_at"])
    if away is not None:
        raise away
    return not left


def _gone(prefix: str) -> bool:
    try:
        delete_files(prefix)
        return not default_storage.exists(prefix)
    except StoreAway:
        raise
    except OSError:  # this one is refused: the others may be deleted
        return False


def finish_erasures() -> int:
    """Try again what could not be deleted; how many withdrawals are now erased.

    A storage that is away is waited for once: the rest is for the next round.
    """
    erased = 0
    for pk in Withdrawal.objects.filter(erased_at=None).values_list("pk", flat=True):
        try:
            erased += _erase(pk)
        except StoreAway as error:
            log.warning("files of withdrawn volunteers are not erased yet: %s", error)
            break
    return erased
