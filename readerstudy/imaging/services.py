"""What is done to volunteers and series. Each act authorises, validates, writes and audits.

An `actor` of `None` is the platform itself (a command run by whoever owns the machine).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from pydicom.dataset import Dataset

from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.jobs.locks import hold_open_jobs
from readerstudy.studies.access import require_role, require_site
from readerstudy.studies.models import CODE, Arm, Role, Site, Study
from readerstudy.studies.services import check_is_draft, lock_study, site_in_trail

from . import hooks
from .arm_names import arms_by_name, plain
from .deidentification.report import report_json
from .errors import ImagingError
from .geometry import SlicePlane
from .models import Series, Upload, Volunteer
from .parsing.errors import Refused
from .parsing.images import ParsedFile, ParsedSlice, parse_dataset
from .readings import Readings, having_read
from .refreshing import refresh_display, want_display, want_refresh
from .storing import SeriesDraft, StoredSlice, publish_series, row_of, write_series
from .volumes import delete_after_commit, delete_files

VOLUNTEER_CODE_LENGTH = 30


# --- Volunteers -----------------------------------------------------------------------------------


def check_volunteer_code(code: str) -> None:
    if not code or len(code) > VOLUNTEER_CODE_LENGTH:
        raise ImagingError(
            f"“{code}” cannot be a volunteer's code: 1 to {VOLUNTEER_CODE_LENGTH} characters."
        )
    try:
        CODE(code)
    except ValidationError:
        raise ImagingError(
            f"“{code}” cannot be a volunteer's code: "
            "use letters, digits, hyphen and underscore only."
        ) from None


def find_volunteer(study: Study, code: str) -> Volunteer | None:
    """V01 and v01 are one volunteer."""
    return Volunteer.objects.filter(study=study, code__iexact=code).first()


def do_add_volunteer(
    study: Study, code: str, actor: User | None, site: Site | None = None
) -> Volunteer:
    """The volunteer of that code, made if new. Inside a transaction that holds the study's row.

    Raises ImagingError where the code is that of another site's volunteer: codes are one space
    over the whole study.
    """
    found = find_volunteer(study, code)
    if found is not None:
        check_is_of_site(found, site)
        return found
    check_volunteer_code(code)
    check_is_no_arm(study, code)
    volunteer = Volunteer.objects.create(study=study, code=code, site=site)
    record(
        "imaging.volunteer.added",
        actor,
        study_id=study.pk,
        subject=volunteer,
        new={"code": code, **site_in_trail(site)},
    )
    return volunteer


def check_is_no_arm(study: Study, code: str) -> None:
    """A new volunteer is not called like an arm: nobody could tell the folders apart."""
    arm = arms_by_name(study).get(plain(code))
    if arm is not None:
        raise ImagingError(
            f"“{code}” cannot be a volunteer's code: it names the arm {arm.name} of this study."
        )


def check_is_of_site(volunteer: Volunteer, site: Site | None) -> None:
    """What was sent for a site goes to none of another's volunteers."""
    if site is not None and volunteer.site_id != site.pk:
        raise ImagingError(
            f"The code {volunteer.code} belongs to no volunteer of {site.name}: each code is given "
            "once in the study. Use another, or ask the study's coordinator."
        )


@transaction.atomic
def do_place_volunteers(study: Study, actor: User | None, sites: Mapping[str, Site | None]) -> int:
    """Say which site volunteers belong to: {code: site}; all or none. How many changed.

    For coordinators of the whole study, while it is a draft: the order of reading follows it.
    """
    require_role(actor, study, Role.COORDINATOR)
    study = lock_study(study)
    found = {v.code: v for v in Volunteer.objects.filter(study=study).select_related("site")}
    changed = 0
    for code, site in sites.items():
        if code not in found:
            raise ImagingError(f"{code} is no volunteer of this study.")
        if site is not None and site.study_id != study.pk:
            raise ImagingError("That is no site of this study.")
        volunteer = found[code]
        if volunteer.site == site:
            continue
        check_is_draft(study)
        old, volunteer.site = volunteer.site, site
        volunteer.save(update_fields=["site"])
        changed += 1
        record(
            "imaging.volunteer.placed",
            actor,
            study_id=study.pk,
            subject=volunteer,
            old=site_in_trail(old),
            new={"code": code, **site_in_trail(site)},
        )
    return changed


# --- Series ---------------------------------------------------------------------------------------


def stored_slice(parsed: ParsedSlice, content: bytes | Path, name: str) -> StoredSlice:
    """What storing needs of a parsed slice; `name` is the uploaded file's, for messages."""
    x, y, z = parsed.position
    a, b, c, d, e, f = parsed.orientation
    return StoredSlice(
        content=content,
        plane=SlicePlane(
            position=(x, y, z),
            orientation=(a, b, c, d, e, f),
            row_spacing=parsed.row_spacing,
            column_spacing=parsed.column_spacing,
            rows=parsed.rows,
            columns=parsed.columns,
            thickness=parsed.thickness,
            name=name,
        ),
        pixel_offset=parsed.pixel_offset,
        pixel_dtype=parsed.pixel_dtype,
        slope=parsed.slope,
        intercept=parsed.intercept,
    )


def do_store_series(
    volunteer: Volunteer,
    arm: Arm,
    datasets: Sequence[Dataset],
    actor: User | None = None,
    *,
    upload: Upload | None = None,
) -> Series:
    """Store one series from data sets in memory, de-identified like an upload.

    For images that the platform made itself; what people send goes through the ingest task, whose
    parsing is confined. Raises ImagingError, StudyError or PermissionDenied.
    """
    require_role(actor, volunteer.study, Role.COORDINATOR)
    key = settings.DEIDENTIFICATION_KEY.encode()
    slices: list[StoredSlice] = []
    report: ParsedFile = ParsedFile([])
    parameters: dict[str, object] = {}
    for index, dataset in enumerate(datasets):
        name = f"image {index + 1}"
        try:
            parsed = parse_dataset(dataset, patient_code=volunteer.code, key=key)
        except Refused as error:
            raise ImagingError(f"{name}: {error}") from None
        report.report.update(parsed.report)
        for item in parsed.slices:
            slices.append(stored_slice(item, item.content, name))
            parameters = parameters or item.parameters
    draft = write_series(
        study_id=volunteer.study_id,
        token=uuid.uuid4(),
        volunteer_code=volunteer.code,
        arm=arm,
        slices=slices,
        parameters=parameters,
        deidentification=report_json(report.report, len(datasets)),
    )

    def publish(readings: Readings) -> Series:
        with transaction.atomic():
            study = lock_study(volunteer.study)
            check_is_draft(study)
            demand_of_drafts(study, [draft], readings)
            stored, refused = publish_drafts(study, [(draft, volunteer, upload)], actor, readings)
            for _draft, reason in refused:
                raise ImagingError(reason)
        return stored[0]

    try:
        return having_read(publish)
    except BaseException:
        delete_files(draft.prefix)
        raise


def demand_of_drafts(study: Study, drafts: Sequence[SeriesDraft], readings: Readings) -> None:
    """Raise NotRead unless all is read that publishing these, or some of them, will need.

    Inside the transaction that will publish them: it holds the study's row and has written nothing.
    """
    codes: dict[str, list[SeriesDraft]] = {}
    for draft in drafts:
        codes.setdefault(draft.volunteer_code.casefold(), []).append(draft)
    for own in codes.values():
        volunteer = find_volunteer(study, own[0].volunteer_code)
        there: list[Series] = []
        if volunteer is None:
            volunteer = Volunteer(study=study, code=own[0].volunteer_code)
        else:
            there = list(Series.objects.filter(volunteer=volunteer).select_related("arm"))
        coming = [row_of(draft, volunteer) for draft in own]
        controls = [one for one in there if one.arm.is_control]
        for control in controls or [one for one in coming if one.arm.is_control]:
            want_display(volunteer, control, [*there, *coming], readings)
            hooks.series_coming(volunteer, control, [*there, *coming], readings)
    readings.demand()


def publish_drafts(
    study: Study,
    drafts: Sequence[tuple[SeriesDraft, Volunteer, Upload | None]],
    actor: User | None,
    readings: Readings,
) -> tuple[list[Series], list[tuple[SeriesDraft, str]]]:
    """Make the rows of written series, controls first, and tell whoever derives from them.

    Inside a transaction that holds the study's row, after `demand_of_drafts`; the caller has
    authorised the act. Returns the series made, and the drafts that do not fit with the reasons.
    """
    stored: list[Series] = []
    refused: list[tuple[SeriesDraft, str]] = []
    for draft, volunteer, upload in sorted(drafts, key=lambda item: not item[0].arm.is_control):
        try:
            stored.append(publish_series(draft, volunteer, upload=upload, actor=actor))
        except ImagingError as error:
            refused.append((draft, str(error)))
    for volunteer in {item.volunteer_id: item.volunteer for item in stored}.values():
        refresh_display(volunteer, readings)
    # As they stand now, with the factors that they are shown by.
    fresh = Series.objects.select_related("volunteer__study", "arm", "upload").in_bulk(
        [series.pk for series in stored]
    )
    stored = [fresh[series.pk] for series in stored]
    if stored:
        hooks.series_stored(study, stored, actor, readings)
    return stored, refused


def check_delete_series(series: Series, actor: User | None) -> None:
    require_site(actor, series.volunteer.study, series.volunteer.site_id)
    check_is_draft(series.volunteer.study)


def do_delete_series(series: Series, actor: User | None) -> None:
    """Delete a series of a draft, its files, and whatever was derived from it."""
    having_read(partial(_delete_series, series, actor))


def _delete_series(series: Series, actor: User | None, readings: Readings) -> None:
    prefixes: list[str] = []
    with transaction.atomic():
        study = lock_study(series.volunteer.study)
        hold_open_jobs(study.pk)
        series = Series.objects.select_related("volunteer__study", "arm").get(pk=series.pk)
        series.volunteer.study = study
        check_delete_series(series, actor)
        if not series.arm.is_control:  # without one, nothing can be shown
            want_refresh(series.volunteer, readings)
            readings.demand()
        delete_series_row(series, actor, prefixes)
        refresh_display(Volunteer.objects.get(pk=series.volunteer_id), readings)
        delete_after_commit(prefixes)


def delete_series_row(
    series: Series, actor: User | None, prefixes: list[str], why: str = ""
) -> None:
    """Delete one row and, through the hooks, what depends on it; files are the caller's to delete
    once the transaction has committed. For `do_delete_series` and higher floors' hooks."""
    hooks.series_deleting(series, actor, prefixes)
    record(
        "imaging.series.deleted",
        actor,
        study_id=series.volunteer.study_id,
        subject=series,
        old={
            "volunteer": series.volunteer.code,
            "arm": series.arm.code,
            "volume_sha256": series.volume_sha256,
        },
        why=why,
    )
    prefixes.append(series.prefix)
    series.delete()
