"""The results pages: tables, what stands behind a cell, figures, and their files.

`_report` decides in which form a person gets the results; nothing here computes before it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, cast

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from analysis.tables import csv_bytes
from readerstudy.accounts.models import User
from readerstudy.studies.access import has_role
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Role, Study

from .access import View, get_results_study, view_for, why_refused
from .bundles.acquisition import acquisition_frame
from .bundles.contents import bundle
from .bundles.paper import IMAGE_FORMATS, drawn, figures
from .bundles.spreadsheet_text import safe_frame
from .exclusions import exclusions_of
from .exports import DESCRIPTIONS, csv_file, csv_names, file_name, reading_file
from .models import Unblinding
from .pages import charts, people
from .pages.behind import NoSuchCellError, behind_cell, place_of
from .pages.listing import frame_list, table_1
from .pages.lists import agreement_list, sensitivity_tables, test_list
from .pages.panels import imaged_volunteers
from .pages.repeats import repeats_list
from .pages.sites import site_list
from .paper_tables import ratio_table, score_table
from .plan_versions import asked_version
from .preference_tables import preference_tables
from .reading_files import reading_files
from .report import Report, masked_report, named_report
from .selectors import progress_of
from .services import record_download
from .wording import MASKED, plan_lines

_IMAGE_TYPES = {"svg": "image/svg+xml", "png": "image/png", "pdf": "application/pdf"}
# What a browser shows of a figure: the others are files. An SVG of matplotlib styles its paths in
# place, and one of a panel holds its images within itself: the site's policy refuses both.
SHOWN = {"png"}
_FILE_POLICY = "default-src 'none'; frame-ancestors 'none'"
Context = dict[str, Any]


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)  # the middleware lets no one else in


def report_for_page(request: HttpRequest, slug: str) -> tuple[Study, Report]:
    """The report in the form that this person gets, else 404."""
    user = _user(request)
    study = get_results_study(user, slug)
    view = view_for(user, study)
    if view not in {View.MASKED, View.NAMED}:
        raise Http404("There are no results for you yet.")
    try:
        if view is View.MASKED:
            return study, masked_report(study)
        return study, named_report(study, asked_version(request))
    except StudyError as error:
        raise Http404(str(error)) from None


def page_context(study: Study, report: Report, part: str) -> Context:
    """What every results page needs."""
    return {
        "study": study,
        "report": report,
        "masked": MASKED if report.is_masked else "",
        "part": part,
        "parts": navigation(study, report),
        "exclusions": exclusions_of(study),
        # In front of an address's other words, so that it stays with the same plan.
        "plan_part": f"{report.plan_query[1:]}&" if report.plan_query else "",
    }


def navigation(study: Study, report: Report) -> list[dict[str, str]]:
    """The pages of the results; a digit leads to each."""
    found = [("tables", "Tables", reverse("results", args=[study.slug]))]
    found += [
        (part, title, reverse("results_part", args=[study.slug, part]))
        for part, (title, _) in PARTS.items()
        if title and (part != "sites" or report.sites)
    ]
    # Export before what comes with the unblinding: a page keeps its key.
    found.append(("export", "Export", reverse("results_exports", args=[study.slug])))
    if not report.is_masked and imaged_volunteers(study):
        found.append(("panels", "Image panels", reverse("results_panels", args=[study.slug])))
    return [
        {
            "part": part,
            "title": title,
            "address": address + report.plan_query,
            "key": str(number % 10),  # of the tenth, 0
        }
        for number, (part, title, address) in enumerate(found, start=1)
    ]


# --- Tables ---------------------------------------------------------------------------------------


@require_safe
def results(request: HttpRequest, slug: str) -> HttpResponse:
    """Progress before the lock, letters until unblinding, names after it."""
    user = _user(request)
    study = get_results_study(user, slug)
    view = view_for(user, study)
    context: Context = {
        "study": study,
        "may_import": not study.is_locked and has_role(user, study, Role.COORDINATOR),
    }
    if view is View.REFUSED:
        context["reason"] = why_refused(user, study)
        return render(request, "reports/refused.html", context, status=403)
    if view is View.PROGRESS:
        context["progress"] = progress_of(study)
        return render(request, "reports/progress.html", context)
    try:
        report = (
            masked_report(study)
            if view is View.MASKED
            else named_report(study, asked_version(request))
        )
    except StudyError as error:
        context["fault"] = str(error)
        return render(request, "reports/fault.html", context)
    medians = request.GET.get("values") == "medians"
    context |= page_context(study, report, "tables")
    context |= {
        "may_exclude": has_role(user, study, Role.STATISTICIAN),
        "acquisition": table_1(acquisition_frame(study, report), report),
        "ratios": ratio_table(report),
        "scores": score_table(report, medians=medians),
        "medians": medians,
        "preferences": preference_tables(report),
        "files": [
            (name, DESCRIPTIONS[name]) for name in (*csv_names(report), *reading_files(study, user))
        ],
        "plan_lines": plan_lines(report.plan),
        "unblinding": Unblinding.objects.filter(study=study).select_related("by").first(),
    }
    return render(request, "reports/results.html", context)


@require_safe
def results_part(request: HttpRequest, slug: str, part: str) -> HttpResponse:
    """One of the further pages."""
    if part not in PARTS:
        raise Http404("There is no such page.")
    study, report = report_for_page(request, slug)
    context = page_context(study, report, part)
    _title, make = PARTS[part]
    return make(request, context)


def _lists(request: HttpRequest, context: Context, tables: list[Any], nothing: str) -> HttpResponse:
    context |= {"tables": [table for table in tables if table], "nothing": nothing}
    return render(request, "reports/lists.html", context)


def _tests(request: HttpRequest, context: Context) -> HttpResponse:
    report: Report = context["report"]
    tables = [test_list(report), *preference_tables(report)]
    return _lists(request, context, tables, "Nothing was compared: there is no test.")


def _agreement(request: HttpRequest, context: Context) -> HttpResponse:
    report: Report = context["report"]
    tables = [agreement_list(report), repeats_list(context["study"], report)]
    nothing = "No agreement can be computed: it needs points by two readers, or repeats."
    return _lists(request, context, tables, nothing)


def _sensitivity(request: HttpRequest, context: Context) -> HttpResponse:
    tables = sensitivity_tables(context["report"])
    is_statistician = has_role(_user(request), context["study"], Role.STATISTICIAN)
    context |= {"may_exclude": is_statistician, "shows_exclusions": True}
    return _lists(request, context, tables, "The plan asks for nothing beside its tests.")


def _readers(request: HttpRequest, context: Context) -> HttpResponse:
    report: Report = context["report"]
    criteria = [(code, report.row_names[code]) for code in report.plan.criteria]
    chosen = request.GET.get("criterion", "")
    if chosen not in dict(criteria):
        chosen = ""
    context["filters"] = [("criterion", "Criterion", [("", "All"), *criteria], chosen)]
    nothing = "No points were given: there is nothing by reader."
    return _lists(request, context, [people.reader_list(report, chosen)], nothing)


def _sites(request: HttpRequest, context: Context) -> HttpResponse:
    report: Report = context["report"]
    if not report.sites:
        raise Http404("The study has no sites.")
    nothing = "Nothing was scored or measured: there is nothing by site."
    return _lists(request, context, [site_list(report)], nothing)


def _volunteers(request: HttpRequest, context: Context) -> HttpResponse:
    report: Report = context["report"]
    study: Study = context["study"]
    offered = {one.code: one for one in people.subjects(report)}
    if not offered:
        nothing = "Nothing was scored or measured: there is nothing by volunteer."
        return _lists(request, context, [], nothing)
    chosen = offered.get(request.GET.get("row", ""), next(iter(offered.values())))
    each = report.plan.reader_summary == "each"
    readers = [(code, code) for code in report.readers]
    reader = request.GET.get("reader", "")
    if chosen.metric != "score" or reader not in dict(readers):
        reader = report.readers[0] if chosen.metric == "score" and each else ""
    addresses = {}
    if not report.is_masked:
        addresses = {
            code: reverse("results_images", args=[study.slug, code])
            for code in imaged_volunteers(study)
        }
    table, page = people.volunteer_list(report, chosen, reader, _page(request), addresses)
    context |= {"page": page, "pager_query": query_without(request, "page")}
    context["filters"] = [
        ("row", "Shown", [(code, one.name) for code, one in offered.items()], chosen.code)
    ]
    if chosen.metric == "score":
        summary = [] if each else [("", f"All: {report.plan.reader_summary}")]
        context["filters"].append(("reader", "Reader", [*summary, *readers], reader))
    return _lists(request, context, [table], "")


def query_without(request: HttpRequest, name: str) -> str:
    """The words of the address but for one, for another address that goes on with them."""
    query = request.GET.copy()
    query.pop(name, None)
    return query.urlencode()


def _page(request: HttpRequest) -> int:
    given = request.GET.get("page", "1")
    return int(given) if given.isdecimal() and len(given) < 6 else 1


def _behind(request: HttpRequest, context: Context) -> HttpResponse:
    """The scores or regions behind a cell."""
    report: Report = context["report"]
    study: Study = context["study"]
    try:
        place = place_of(report, request.GET.dict())
    except NoSuchCellError as error:
        raise Http404(str(error)) from None
    context["behind"] = found = behind_cell(study, report, _user(request), place, _page(request))
    context |= {"page": found.page, "pager_query": query_without(request, "page")}
    if not report.is_masked:
        context["imaged"] = set(imaged_volunteers(study))
    return render(request, "reports/behind.html", context)


# --- Figures --------------------------------------------------------------------------------------


def _figures(request: HttpRequest, context: Context) -> HttpResponse:
    report: Report = context["report"]
    names = list(figures(report))
    if not names:
        return _lists(request, context, [], "There is nothing to draw yet.")
    name = request.GET.get("figure", "")
    if name not in names:
        name = names[0]
    filters = _filters(request, report)
    chart = charts.chart(report, name, filters)
    shown = [("figure", "Figure", [(n, charts.TITLES[n]) for n in names], name)]
    if "row" in chart.offers and len(chart.rows) > 1:
        everything = "All scores" if name == "differences" else "All"
        shown.append(("row", "Shown", [("", everything), *chart.rows], filters.row))
    if "reader" in chart.offers and len(report.readers) > 1:
        readers = [(code, code) for code in report.readers]
        shown.append(("reader", "Reader", [("", "All"), *readers], filters.reader))
    if "pair" in chart.offers:
        pairs = [
            (f"{a} v {b}", f"{report.arm_names[a]} v {report.arm_names[b]}")
            for a, b in report.plan.comparisons
        ]
        shown.append(("pair", "Comparison", [("", "All"), *pairs], filters.pair))
    if "volunteer" in chart.offers:
        codes = [(code, code) for code in report.volunteers]
        shown.append(("volunteer", "Mark", [("", "No volunteer"), *codes], filters.volunteer))
    context |= {
        "name": name,
        "title": charts.TITLES[name],
        "chart": chart,
        "filters": shown,
        "numbers": frame_list(f"numbers of {charts.TITLES[name]}", chart.frame),
        "csv_query": query_without(request, "figure"),
        "is_filtered": any((filters.row, filters.reader, filters.pair)),
    }
    return render(request, "reports/figures.html", context)


def _filters(request: HttpRequest, report: Report) -> charts.Filters:
    """Only what the results know: an address cannot put words on the page."""
    reader, volunteer = request.GET.get("reader", ""), request.GET.get("volunteer", "")
    pairs = {f"{a} v {b}" for a, b in report.plan.comparisons}
    pair = request.GET.get("pair", "")
    return charts.Filters(
        row=request.GET.get("row", ""),
        reader=reader if reader in report.readers else "",
        volunteer=volunteer if volunteer in report.volunteers else "",
        pair=pair if pair in pairs else "",
    )


@require_safe
def results_figure(request: HttpRequest, slug: str, name: str, image_format: str) -> HttpResponse:
    """A figure as the publication prints it (a file, or a PNG without ?download to be looked at),
    or the numbers of what the page shows, as CSV."""
    study, report = report_for_page(request, slug)
    kind = next((known for known in IMAGE_FORMATS if known == image_format), None)
    if image_format == "csv" and name in figures(report):
        frame = charts.chart(report, name, _filters(request, report)).frame
        if report.notice:
            frame = frame.assign(notice=report.notice)
        content = csv_bytes(safe_frame(frame))
        return download(request, study, report, f"{name}.csv", content, "text/csv; charset=utf-8")
    drawing = drawn(report, name, kind) if kind else None
    if kind is None or drawing is None:
        raise Http404("There is no such figure.")
    if "download" in request.GET or kind not in SHOWN:
        return download(request, study, report, f"{name}.{kind}", drawing, _IMAGE_TYPES[kind])
    return HttpResponse(drawing, content_type=_IMAGE_TYPES[kind])


# --- Files ----------------------------------------------------------------------------------------


@require_safe
def results_file(request: HttpRequest, slug: str, name: str) -> HttpResponse:
    study, report = report_for_page(request, slug)
    if name in csv_names(report):
        content = csv_file(report, name)
    elif name in reading_files(study, _user(request)):
        content = reading_file(study, report, name)
    else:
        raise Http404("There is no such file.")
    return download(request, study, report, name, content, "text/csv; charset=utf-8")


@require_safe
def results_bundle(request: HttpRequest, slug: str) -> HttpResponse:
    study, report = report_for_page(request, slug)
    content = bundle(study, report, _user(request))
    return download(request, study, report, "bundle.zip", content, "application/zip")


def download(
    request: HttpRequest, study: Study, report: Report, name: str, content: bytes, kind: str
) -> HttpResponse:
    """A file that leaves the platform; that it did is recorded."""
    full_name = file_name(report, name)
    if request.method == "GET":
        sha256 = hashlib.sha256(content).hexdigest()
        record_download(study, _user(request), report, full_name, sha256)
    response = HttpResponse(content, content_type=kind)
    response.headers["Content-Disposition"] = f'attachment; filename="{full_name}"'
    response.headers["Content-Security-Policy"] = _FILE_POLICY
    return response


# A page's title in the navigation (empty: it is reached from a cell), and what makes it.
PARTS: dict[str, tuple[str, Callable[[HttpRequest, Context], HttpResponse]]] = {
    "tests": ("Tests", _tests),
    "agreement": ("Agreement", _agreement),
    "sensitivity": ("Sensitivity", _sensitivity),
    "readers": ("Readers", _readers),
    "volunteers": ("Volunteers", _volunteers),
    "sites": ("Sites", _sites),
    "figures": ("Figures", _figures),
    "behind": ("", _behind),
}
