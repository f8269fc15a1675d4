"""What is done to the regions of a volunteer as a whole: frozen, opened, brought in, taken out."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from readerstudy.accounts.models import User
from readerstudy.imaging.models import Volunteer
from readerstudy.studies.access import get_study, roles_in
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Role, Study

from .models import FIRST_OBSERVER, OBSERVERS
from .observers import observer_table
from .placing import (
    check_may_measure,
    do_freeze,
    do_reopen,
    do_unblind_placing,
    placing_of,
    shows_figures,
)
from .region_files import MOST_BYTES, read_region_file
from .services import do_place_regions_from_file
from .slice_rules import do_set_slice_rules
from .suggestions import suggested_regions

ACTS = ("freeze", "reopen", "unblind")


def _study(request: HttpRequest, slug: str) -> Study:
    study = get_study(request.user, slug, Role.COORDINATOR)
    check_may_measure(study, cast(User, request.user))
    return study


def _volunteer(study: Study, code: str) -> Volunteer:
    found: Volunteer = get_object_or_404(
        Volunteer.objects.select_related("study"), study=study, code=code
    )
    return found


def _observer(said: str | None) -> int:
    if said not in {str(observer) for observer in OBSERVERS}:
        return FIRST_OBSERVER
    return int(said)


def _page_of(study: Study, volunteer: Volunteer, observer: int) -> str:
    address = reverse("regions_volunteer", args=[study.slug, volunteer.code])
    return address if observer == FIRST_OBSERVER else f"{address}?observer={observer}"


@require_POST
def act(request: HttpRequest, slug: str, code: str, what: str) -> HttpResponse:
    """Freeze the regions of a volunteer, open them again, or place with figures in sight."""
    if what not in ACTS:
        raise Http404
    study = _study(request, slug)
    volunteer = _volunteer(study, code)
    observer = _observer(request.POST.get("observer"))
    user, reason = cast(User, request.user), request.POST.get("reason", "")
    try:
        if what == "freeze":
            do_freeze(volunteer, user, observer)
        elif what == "reopen":
            do_reopen(volunteer, user, reason, observer)
        else:
            do_unblind_placing(volunteer, user, reason, observer)
    except StudyError as error:
        messages.error(request, str(error))
    return redirect(_page_of(study, volunteer, observer))


@require_GET
def suggest(request: HttpRequest, slug: str, code: str) -> HttpResponse:
    """Where another volunteer's regions would lie on this one."""
    study = _study(request, slug)
    volunteer = _volunteer(study, code)
    template = _volunteer(study, request.GET.get("from", ""))
    try:
        return JsonResponse({"regions": suggested_regions(volunteer, template)})
    except StudyError as error:
        return JsonResponse({"error": str(error)}, status=422)


@require_http_methods(["GET", "HEAD", "POST"])
def bring_in(request: HttpRequest, slug: str) -> HttpResponse:
    """Regions that were drawn elsewhere: ImageJ or a table, for one volunteer, all or none."""
    study = _study(request, slug)
    faults: list[str] = []
    if request.method == "POST":
        volunteer = _volunteer(study, request.POST.get("volunteer", ""))
        file = request.FILES.get("file")
        try:
            placed = _placed(request, volunteer, file)
        except StudyError as error:
            faults = list(error.messages)
        else:
            messages.success(request, f"{volunteer.code}: {placed} regions are placed.")
            return redirect("regions", study.slug)
    context: dict[str, Any] = {
        "study": study,
        "faults": faults,
        "volunteers": study.volunteers.filter(series__arm__is_control=True).distinct(),
        "tissues": study.tissues.all(),
        "chosen": request.POST.get("volunteer", ""),
    }
    return render(request, "measurements/bring_in.html", context)


def _placed(request: HttpRequest, volunteer: Volunteer, file: Any) -> int:
    if not isinstance(file, UploadedFile) or not file.name:
        raise StudyError("Choose a file.")
    if (file.size or 0) > MOST_BYTES:
        raise StudyError(f"{file.name}: the file is larger than {MOST_BYTES // 1024**2} MB.")
    places = read_region_file(
        volunteer,
        file.name,
        file.read(),
        from_the_other_end=bool(request.POST.get("from_the_other_end")),
    )
    return len(do_place_regions_from_file(volunteer, places, cast(User, request.user)))


@require_GET
def reports(request: HttpRequest, slug: str, code: str) -> HttpResponse:
    """DICOM SR of every arm, once the figures are open."""
    from .structured_report import structured_reports  # slow to import

    study = _study(request, slug)
    volunteer = _volunteer(study, code)
    observer = _observer(request.GET.get("observer"))
    if not shows_figures(placing_of(volunteer, observer), study, cast(User, request.user)):
        messages.error(request, f"Freeze the regions of {code} first: the reports hold figures.")
        return redirect("regions", study.slug)
    try:
        content = structured_reports(volunteer, observer)
    except StudyError as error:
        messages.error(request, str(error))
        return redirect("regions", study.slug)
    name = f"{study.slug}-{volunteer.code}-observer{observer}-sr.zip"
    return HttpResponse(
        content,
        content_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@require_GET
def observers(request: HttpRequest, slug: str) -> HttpResponse:
    """How far the two observers agree, arm by arm."""
    study = _study(request, slug)
    user = cast(User, request.user)
    arms = list(study.arms.all())
    chosen = next((arm for arm in arms if arm.code == request.GET.get("arm")), None)
    chosen = chosen or next((arm for arm in arms if arm.is_control), None)
    may_see = _may_compare(study, user)
    context = {
        "study": study,
        "arms": arms,
        "chosen": chosen,
        "refusal": ""
        if may_see
        else "You analyse this study by letters: figures beside the arms' "
        "names open to you with the key.",
        "table": observer_table(study, chosen) if chosen and may_see else None,
    }
    return render(request, "measurements/observers.html", context)


def _may_compare(study: Study, user: User) -> bool:
    return study.is_unblinded or Role.STATISTICIAN not in roles_in(user, study)


@require_POST
def rules(request: HttpRequest, slug: str) -> HttpResponse:
    """On which slice each tissue is measured."""
    study = _study(request, slug)
    said = {
        name.removeprefix("rule:"): value
        for name, value in request.POST.items()
        if name.startswith("rule:") and isinstance(value, str)
    }
    try:
        do_set_slice_rules(study, said, cast(User, request.user))
    except StudyError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The slice rules are saved.")
    return redirect("regions", study.slug)
