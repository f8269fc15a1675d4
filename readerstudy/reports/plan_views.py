"""The pages of the analysis plan: written, signed, amended, read and compared."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from analysis.plan import AnalysisPlan
from analysis.plan_document import write_plan
from readerstudy.accounts.models import User
from readerstudy.studies.access import get_study
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Plan, PlanVersion, Role, Study

from .models import Unblinding
from .plan_forms import PlanFileForm, PlanForm, SignPlanForm
from .plan_services import (
    PlanFaults,
    StalePlan,
    do_save_plan,
    do_sign_plan,
    settings_from_file,
)
from .plan_wording import Line, changes_between, lines_of, moment_of, names_in
from .plans import design_faults, drafted_plan, last_version, plan_sha256
from .post_hoc import is_post_hoc
from .steps import steps_of


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)  # the middleware lets no one else in


def _study(request: HttpRequest, slug: str) -> Study:
    return get_study(request.user, slug, Role.COORDINATOR, Role.STATISTICIAN)


@require_http_methods(["GET", "HEAD", "POST"])
def plan(request: HttpRequest, slug: str) -> HttpResponse:
    """The plan as it is being written, and its signed versions."""
    study = _study(request, slug)
    standing = Plan.objects.get(study=study)
    posted = request.POST if request.method == "POST" else None
    form = PlanForm(study, standing.settings(), standing.revision, posted)
    status = 200
    if posted is not None:
        status = 422
        if form.is_valid():
            try:
                do_save_plan(study, _user(request), form.settings(), form.cleaned_data["revision"])
            except PlanFaults as error:
                form.add_faults(error.faults)
            except StalePlan as error:
                # What was entered stays; saved again it takes the place of what is stored now.
                return _plan_page(request, study, _over(study, posted), 409, error)
            except StudyError as error:
                form.add_error(None, list(error.messages))
            else:
                messages.success(request, "The plan is saved. It counts once it is signed.")
                return redirect("plan", study.slug)
    return _plan_page(request, study, form, status)


def _over(study: Study, posted: Any) -> PlanForm:
    """The form as it was sent, made from the plan as it stands now."""
    standing = Plan.objects.get(study=study)
    data = posted.copy()
    data["revision"] = str(standing.revision)
    return PlanForm(study, standing.settings(), standing.revision, data)


def _plan_page(
    request: HttpRequest,
    study: Study,
    form: PlanForm,
    status: int = 200,
    stale: StudyError | None = None,
    file_form: PlanFileForm | None = None,
) -> HttpResponse:
    standing, names = Plan.objects.get(study=study), names_in(study)
    last = last_version(study)
    context: dict[str, Any] = {
        "study": study,
        "form": form,
        "file_form": file_form or PlanFileForm(label_suffix=""),
        "standing": standing,
        "versions": _versions(study),
        "last": last,
        "steps": steps_of(study, _user(request)),
        "stale": stale,
    }
    try:
        drafted = drafted_plan(study)
    except StudyError as error:
        context["fault"] = str(error)
    else:
        document = drafted.to_dict()
        context["design"] = _design(lines_of(document, names))
        context["changes"] = changes_between(last.document, document, names) if last else []
        context["is_signed"] = last is not None and last.sha256 == plan_sha256(drafted)
        if stale is not None:
            context["stored"] = lines_of(document, names)
    return render(request, "conduct/plan.html", context, status=status)


_OF_DESIGN = {
    *("arms", "control", "comparisons", "criteria", "choice_criteria", "ranking_criteria"),
    *("score_range", "tissues", "air", "reference_tissue", "dlr_arms"),
}


def _design(lines: list[Line]) -> list[Line]:
    return [line for line in lines if line.name in _OF_DESIGN]


def _versions(study: Study) -> list[dict[str, Any]]:
    """Every signed version, the latest first, with when in the study's life it was signed."""
    found = PlanVersion.objects.filter(study=study).select_related("signed_by").order_by("-number")
    return [{"row": row, "moment": moment_of(row), "post_hoc": is_post_hoc(row)} for row in found]


@require_POST
def plan_read(request: HttpRequest, slug: str) -> HttpResponse:
    """Take the settings from a plan document; nothing is signed by it."""
    study = _study(request, slug)
    standing = Plan.objects.get(study=study)
    file_form = PlanFileForm(request.POST, request.FILES, label_suffix="")
    if file_form.is_valid():
        try:
            settings = settings_from_file(study, file_form.content())
            do_save_plan(study, _user(request), settings)
        except StudyError as error:
            file_form.add_error("file", list(error.messages))
        else:
            messages.success(request, "The plan is read from the file. It counts once signed.")
            return redirect("plan", study.slug)
    form = PlanForm(study, standing.settings(), standing.revision)
    return _plan_page(request, study, form, 422, file_form=file_form)


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def plan_sign(request: HttpRequest, slug: str) -> HttpResponse:
    """The whole plan with its hash; the signature asks for the password again."""
    study = _study(request, slug)
    last, names = last_version(study), names_in(study)
    context: dict[str, Any] = {
        "study": study,
        "last": last,
        "steps": steps_of(study, _user(request)),
    }
    try:
        drafted = drafted_plan(study)
    except StudyError as error:
        context["fault"] = str(error)
        return render(request, "conduct/plan_sign.html", context, status=409)
    sha256 = plan_sha256(drafted)
    posted = request.POST if request.method == "POST" else None
    if last is not None and last.sha256 == sha256:
        # Sent twice, or signed by somebody else meanwhile: it stands as it was meant.
        if posted is not None:
            messages.info(
                request,
                f"Version {last.number} is signed already, by {last.signed_name}: "
                "nothing was signed a second time.",
            )
        return redirect("plan_version", study.slug, last.number)
    form = SignPlanForm(last is not None, sha256, posted)
    status = 200
    if posted is not None:
        status = 422
        if form.is_signed(request):
            said = form.cleaned_data
            try:
                version = do_sign_plan(
                    study,
                    _user(request),
                    meaning=said["meaning"],
                    reason=said.get("reason", ""),
                    shown_sha256=said["sha256"],
                )
            except StalePlan as error:
                form = SignPlanForm(last is not None, sha256)
                context["stale"], status = str(error), 409
            except StudyError as error:
                form.add_error(None, list(error.messages))
            else:
                messages.success(
                    request, f"Version {version.number} of the analysis plan is signed."
                )
                return redirect("plan_version", study.slug, version.number)
    document = drafted.to_dict()
    context |= {
        "form": form,
        "sha256": sha256,
        "lines": lines_of(document, names),
        "changes": changes_between(last.document, document, names) if last else [],
        "number": last.number + 1 if last else 1,
    }
    return render(request, "conduct/plan_sign.html", context, status=status)


def _version(study: Study, number: int) -> PlanVersion:
    found = PlanVersion.objects.filter(study=study, number=number).first()
    if found is None:
        raise Http404("The plan has no such version.")
    return found


@require_safe
def plan_version(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """A signed version, and what differs from another (?with=1; else the one before it)."""
    study = _study(request, slug)
    version, names = _version(study, number), names_in(study)
    asked = request.GET.get("with", "")
    if asked and not (asked.isdecimal() and len(asked) < 6):
        raise Http404("The plan has no such version.")
    other = _version(study, int(asked)) if asked else None
    if other is None and number > 1:
        other = PlanVersion.objects.filter(study=study, number=number - 1).first()
    context = {
        "study": study,
        "version": version,
        "moment": moment_of(version),
        "post_hoc": is_post_hoc(version),
        "lines": lines_of(version.document, names),
        "other": other,
        "changes": changes_between(other.document, version.document, names) if other else [],
        "numbers": [n for n in _numbers(study) if n != number],
        "in_force": _in_force(study) == version,
        "faults": design_faults(AnalysisPlan.from_dict(version.document), study),
        "is_unblinded": study.is_unblinded,
    }
    return render(request, "conduct/plan_version.html", context)


def _in_force(study: Study) -> PlanVersion | None:
    """With the key open, the plan that it was opened under; before, the last one signed."""
    opened = Unblinding.objects.filter(study=study).select_related("plan_version").first()
    return opened.plan_version if opened is not None else last_version(study)


def _numbers(study: Study) -> list[int]:
    found = PlanVersion.objects.filter(study=study).order_by("number")
    return list(found.values_list("number", flat=True))


@require_safe
def plan_file(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """A signed version as a document that `analysis` reads."""
    study = _study(request, slug)
    version = _version(study, number)
    text = write_plan(AnalysisPlan.from_dict(version.document))
    response = HttpResponse(text, content_type="application/json; charset=utf-8")
    name = f"{study.slug}_plan_version_{number}.json"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
