"""Designing a study in the browser: made new, edited as one form, taken out as a file, amended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from readerstudy.accounts.models import User
from readerstudy.studies import amendments
from readerstudy.studies.access import get_study, has_role
from readerstudy.studies.design_document import Document, as_text, document_of
from readerstudy.studies.errors import DesignConflict, DesignError, DesignFault, StudyError
from readerstudy.studies.models import Role, Study
from readerstudy.studies.selectors import reader_memberships
from readerstudy.studies.services import may_create_studies
from readerstudy.studies.templates_lumbar import ARMS, CRITERIA, TISSUES, reworded

from .checks import protocol_check
from .design import differences, do_save_design, last_change, state_of
from .design_charts import Chart, chart_of
from .design_form import FormView, in_words, place_in_words, view_of
from .design_new import AmendmentForm, NewStudyForm, create
from .design_power import Panel, panel_of
from .design_rows import act
from .design_rules import check_design
from .design_state import State, document_from_state, state_from_post, state_from_study

# What the page's script adds to its requests: it puts the answer into the page itself.
BY_SCRIPT = "X-Design"
SHOWN = 90  # characters of a value, in a list of what differs


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)  # the middleware lets no one else in


def _posted(request: HttpRequest) -> QueryDict | None:
    """What was sent, even if it is empty; None when the page is only looked at."""
    return request.POST if request.method == "POST" else None


# --- A new study ----------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
def study_new(request: HttpRequest) -> HttpResponse:
    """From the lumbar protocol, from nothing, from a former study or from a file."""
    user = _user(request)
    if not may_create_studies(user):
        raise PermissionDenied
    form = NewStudyForm(user, _posted(request), request.FILES or None)
    faults: list[tuple[str, str]] = []
    if request.method == "POST" and form.is_valid():
        try:
            made = create(form, user)
        except DesignError as error:
            faults = [(fault.path, fault.message) for fault in error.faults]
        except StudyError as error:
            form.add_error(None, list(error.messages))
        else:
            messages.success(request, f"“{made.title}” is created. Look through its design next.")
            return redirect("study_design", made.slug)
    counts = {"arms": ARMS, "n_criteria": len(CRITERIA), "n_regions": len(TISSUES)}
    return render(request, "studies/new.html", {"form": form, "faults": faults, **counts})


# --- The design of a draft ------------------------------------------------------------------------


@dataclass
class _Page:
    """What the design page shows beside the study itself."""

    state: State
    opened: str
    faults: list[DesignFault] = field(default_factory=list)
    panel: Panel | None = None
    conflict: str = ""
    theirs: list[tuple[str, str, str]] = field(default_factory=list)
    focus: str = ""
    said: str = ""  # to whoever listens to the page
    is_changed: bool = False


@require_http_methods(["GET", "HEAD", "POST"])
def study_design(request: HttpRequest, slug: str) -> HttpResponse:
    """The whole design as one form. After the launch it is frozen: see the amendments."""
    study = get_study(request.user, slug, Role.COORDINATOR)
    if not study.is_draft:
        if request.method == "POST":
            messages.error(request, "The study was launched meanwhile: its design is frozen.")
        return redirect("study_amendments", study.slug)
    if request.method != "POST":
        document = document_of(study)
        page = _Page(state_from_study(study, document), state_of(study))
        page.panel = _panel(study, document)
        return _show(request, study, page)
    page = _Page(state_from_post(request.POST), str(request.POST.get("opened", "")))
    page.is_changed = True
    wish = str(request.POST.get("do", "save"))
    if wish in {"save", "overwrite"}:
        return _save(request, study, page)
    if wish == "power":
        _look_at_power(study, page)
    else:
        page.focus = act(page.state, wish)
        page.said = _said(wish)
    return _show(request, study, page)


def _save(request: HttpRequest, study: Study, page: _Page) -> HttpResponse:
    document, rows = document_from_state(page.state, document_of(study)["plan"])
    document = reworded(document, study.reading_mode)
    try:
        saved = do_save_design(study, _user(request), document, page.opened, rows)
    except DesignConflict as error:
        standing = document_of(study)
        page.conflict = f"{error} {last_change(study)}".strip()
        page.theirs = _told(differences(standing, document))
        page.opened = state_of(study)  # to be sent again only by whoever saw what differs
        page.focus = "conflict"
    except DesignError as error:
        page.faults = list(error.faults)
        page.focus = "faults"
    except StudyError as error:
        page.faults = [DesignFault("", message) for message in error.messages]
        page.focus = "faults"
    else:
        words = "The design is saved." if saved.changes else "Nothing was changed."
        if saved.again:
            words += f" The worker makes {', '.join(saved.again)} anew."
        messages.success(request, words)
        if BY_SCRIPT in request.headers:
            return HttpResponse(status=204)
        return redirect("study_design", study.slug)
    return _show(request, study, page)


def _look_at_power(study: Study, page: _Page) -> None:
    document, _rows = document_from_state(page.state, document_of(study)["plan"])
    try:
        check_design(document)
    except DesignError as error:
        page.faults = list(error.faults)
        page.focus = "faults"
    else:
        page.panel = _panel(study, document)
        page.focus = "power"


def _panel(study: Study, document: Document) -> Panel:
    return panel_of(document, len(reader_memberships(study)))


def _show(request: HttpRequest, study: Study, page: _Page) -> HttpResponse:
    form: FormView = view_of(page.state, page.faults)
    power = page.panel.power if page.panel else None
    chart: Chart | None = chart_of(power) if power else None
    return render(
        request,
        "studies/design.html",
        {
            "study": study,
            "form": form,
            "page": page,
            "chart": chart,
            "wanting": protocol_check(study).details,
        },
    )


def _said(wish: str) -> str:
    verb = wish.partition(":")[0]
    words = {"add": "Added.", "remove": "Taken away.", "up": "Moved up.", "down": "Moved down."}
    return words.get(verb, "Done.")


def _told(changes: dict[str, tuple[Any, Any]]) -> list[tuple[str, str, str]]:
    """(place, as it is saved now, as this page has it), in words."""
    return [
        (place_in_words(path), _short(theirs), _short(ours))
        for path, (theirs, ours) in changes.items()
    ]


def _short(value: Any) -> str:
    if isinstance(value, list):
        words = ", ".join(
            str(v.get("name") or " v ".join(map(str, v.values())))
            if isinstance(v, dict)
            else str(v)
            for v in value
        )
    else:
        words = "" if value is None else str(value)
    return in_words(words if len(words) <= SHOWN else f"{words[:SHOWN]}…") or "–"


@require_safe
def study_design_file(request: HttpRequest, slug: str) -> HttpResponse:
    """The design as one JSON document, as it stands or was launched and amended."""
    study = get_study(request.user, slug, Role.COORDINATOR, Role.STATISTICIAN)
    return HttpResponse(
        as_text(document_of(study)),
        content_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{study.slug}-design.json"'},
    )


# --- After the launch -----------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
def study_amendments(request: HttpRequest, slug: str) -> HttpResponse:
    """The versions of a launched protocol; a coordinator amends what may be amended."""
    may_look = () if request.method == "POST" else (Role.STATISTICIAN,)
    study = get_study(request.user, slug, Role.COORDINATOR, *may_look)
    if study.is_draft:
        return redirect("study", study.slug)
    may_amend = not study.is_locked and has_role(request.user, study, Role.COORDINATOR)
    versions = amendments.history(study)
    form = AmendmentForm(study, _posted(request)) if may_amend else None
    if request.method == "POST":
        if form is None:
            raise PermissionDenied
        if form.is_valid():
            try:
                made = amendments.do_amend(
                    study,
                    _user(request),
                    form.cleaned_data["reason"],
                    opened=form.cleaned_data["opened"],
                    **form.changes(),
                )
            except StudyError as error:
                form.add_error(None, list(error.messages))
            else:
                messages.success(request, f"The protocol is amended: version {made.version}.")
                return redirect("study_amendments", study.slug)
            versions = amendments.history(study)
    return render(
        request,
        "studies/amendments.html",
        {
            # As it is stored: the form's own study holds what was typed.
            "study": Study.objects.get(pk=study.pk),
            "versions": versions,
            "form": form,
            "fixed": amendments.FIXED,
        },
    )
