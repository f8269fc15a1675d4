"""Import with a mapping step: choose a file, say which column is which, check, look, import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from readerstudy.accounts.models import User
from readerstudy.conduct.imports import (
    MOST_BYTES,
    check_import_study_tables,
    do_import_study_tables,
)
from readerstudy.studies.access import get_study
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Role, Study
from readerstudy.studies.tables import Fault, TableError, TableFile

from .imports import waiting
from .imports.mapping import (
    CODED,
    KINDS,
    SHOWN_ROWS,
    ColumnMapping,
    Sheet,
    apply,
    guess,
    known_codes,
    read_sheet,
    unknown_words,
    wanted,
)
from .imports.preview import preview_of
from .imports.spreadsheets import as_csv

_MOST_FAULTS_SHOWN = 500


@require_http_methods(["GET", "HEAD", "POST"])
def import_mapped(request: HttpRequest, slug: str) -> HttpResponse:
    user = cast(User, request.user)
    study = get_study(user, slug, Role.COORDINATOR)
    kind = request.POST.get("kind", "")
    kind = kind if kind in KINDS else "scores"
    context: dict[str, Any] = {"study": study, "kind": kind, "kinds": KINDS.items()}
    if request.method != "POST":
        return render(request, "reports/import_mapped.html", context)
    try:
        file, kept = _file(request, study, user)
        sheet = read_sheet(file)
        columns = guess(study, sheet, kind)
        columns |= {
            ours: request.POST[f"column-{ours}"]
            for ours in wanted(study, kind)
            if f"column-{ours}" in request.POST
        }
        words = _words(request)
        context |= _form(study, sheet, kind, columns, words) | {"kept": kept}
        if not {"check", "import"} & set(request.POST):
            return render(request, "reports/import_mapped.html", context)
        table = apply(study, sheet, kind, ColumnMapping(columns, words))
        is_scores = kind != "regions"
        scores, regions = (table, None) if is_scores else (None, table)
        if "import" not in request.POST:
            checked = check_import_study_tables(study, user, scores=scores, regions=regions)
            context["would_write"] = preview_of(study, checked, columns, _unused(sheet, columns))
            context["carried"] = _carried(request, kept)
            return render(request, "reports/import_mapped.html", context)
        report = do_import_study_tables(study, user, scores=scores, regions=regions)
    except TableError as error:
        context["faults"] = error.faults[:_MOST_FAULTS_SHOWN]
        context["fault_count"] = len(error.faults)
        return render(request, "reports/import_mapped.html", context, status=422)
    except StudyError as error:
        context["errors"] = error.messages
        return render(request, "reports/import_mapped.html", context, status=422)
    waiting.forget(kept)
    messages.success(
        request,
        f"Imported: {report.scores} scores and {report.measurements} region measurements of "
        f"{report.volunteers} volunteers.",
    )
    for note in report.notes:
        messages.info(request, note)
    return redirect("results_import", slug)


def _file(request: HttpRequest, study: Study, user: User) -> tuple[TableFile, str]:
    """The uploaded file, or the one that waits from the step before. Raises `TableError`."""
    uploaded = request.FILES.get("file")
    if uploaded is not None:
        name = uploaded.name or "file"
        if (uploaded.size or 0) > MOST_BYTES:
            raise TableError(
                [Fault(name, None, "", f"The file is larger than {MOST_BYTES // 1024**2} MB.")]
            )
        file = as_csv(TableFile(name, uploaded.read()))
        return file, waiting.keep(file, study, user)
    kept = request.POST.get("kept", "")
    found = waiting.find(kept, study, user)
    if found is None:
        raise TableError([Fault("The file", None, "", "Choose the file again: none waits here.")])
    return found, kept


def _unused(sheet: Sheet, columns: Mapping[str, str]) -> list[str]:
    return [heading for heading in sheet.headings if heading and heading not in columns.values()]


def _carried(request: HttpRequest, kept: str) -> list[tuple[str, str]]:
    """What the second press sends again: the file and what was said of it."""
    said = [
        (name, str(value))
        for name, value in request.POST.items()
        if name == "kind" or name.startswith(("column-", "word-", "code-"))
    ]
    return [*said, ("kept", kept)]


def _words(request: HttpRequest) -> dict[tuple[str, str], str]:
    """word-<column>-<number> holds their word, code-<column>-<number> the code it stands for."""
    found = {}
    for name, value in request.POST.items():
        part, _, rest = name.partition("-")
        column, _, number = rest.partition("-")
        if part == "word" and column in CODED:
            code = request.POST.get(f"code-{column}-{number}", "")
            if code:
                found[column, str(value)] = code
    return found


def _form(
    study: Study,
    sheet: Any,
    kind: str,
    columns: dict[str, str],
    words: dict[tuple[str, str], str],
) -> dict[str, Any]:
    known = known_codes(study)
    return {
        "sheet": sheet,
        "preview": sheet.rows[:SHOWN_ROWS],
        "columns": [
            (ours, column.label, columns.get(ours, ""), column.is_needed)
            for ours, column in wanted(study, kind).items()
        ],
        "words": [
            (
                ours,
                wanted(study, kind)[ours].label,
                list(dict.fromkeys(known[ours].values())),
                [(word, words.get((ours, word), "")) for word in found],
            )
            for ours, found in unknown_words(study, sheet, columns).items()
        ],
    }
