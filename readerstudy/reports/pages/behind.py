"""What stands behind a cell of a table: volunteer by reader, each with how it was given.

Values come of the frozen data; how often a score was changed, the comment on it and the time that
it took come of the reading's own record, which the lock closed. Times are the statistician's own.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from django.db.models import Count, Sum

from readerstudy.accounts.models import User
from readerstudy.reading.models import CommentRevision, Item, ScoreRevision, Visit
from readerstudy.reports.report import Report
from readerstudy.studies.access import roles_in
from readerstudy.studies.models import Role, Study

from .lists import pair_letters, pair_text
from .people import Page, exact_text, number_text, paged, signed_text


class NoSuchCellError(LookupError):
    """The address names a row, an arm or a reader that the results do not have."""


@dataclass(frozen=True)
class Place:
    """Which cell: a metric and a row, and either one arm or the two of a comparison."""

    metric: str
    row: str
    arms: tuple[str, ...]
    reader: str = ""
    volunteer: str = ""


@dataclass(frozen=True)
class Given:
    """One reader's answer, and how it was given."""

    text: str
    revisions: int = 1
    seconds: float | None = None
    submitted_at: Any = None
    comment: str = ""

    @property
    def is_changed(self) -> bool:
        return self.revisions > 1


@dataclass
class Line:
    volunteer: str
    values: list[tuple[str, str]]  # text, every digit
    given: list[list[Given | None]] = field(default_factory=list)  # a reader, then an arm


@dataclass
class Behind:
    title: str
    letters: str
    arms: list[tuple[str, str]]  # name, letter
    headings: list[str]
    readers: list[str]
    lines: list[Line]
    page: Page
    n: int
    legend: str
    comments: list[tuple[str, str, str, str]] = field(default_factory=list)


def place_of(report: Report, asked: dict[str, str]) -> Place:
    """The cell that an address names. Raises NoSuchCellError."""
    metric, row = asked.get("metric", ""), asked.get("row", "")
    names = (
        [asked["a"], asked["b"]] if asked.get("a") and asked.get("b") else [asked.get("arm", "")]
    )
    plan = report.plan
    rows = {
        "score": plan.criteria,
        "choice": plan.choice_criteria,
        "SNR": plan.tissues,
        "CNR": plan.tissues,
    }.get(metric, ())
    reader, volunteer = asked.get("reader", ""), asked.get("volunteer", "")
    known = row in rows and all(name in plan.arms for name in names)
    known &= not reader or reader in report.readers
    known &= not volunteer or volunteer in report.volunteers
    if not known or (metric == "choice" and len(names) != 2):
        raise NoSuchCellError("There is no such cell in the results.")
    return Place(metric, row, tuple(names), reader, volunteer)


def behind_cell(
    study: Study, report: Report, user: User | None, place: Place, number: int
) -> Behind:
    if place.metric in {"SNR", "CNR"}:
        return _ratios(report, place, number)
    return _answers(study, report, user, place, number)


def _head(report: Report, place: Place) -> tuple[str, str]:
    metric = "" if place.metric in {"score", "choice"} else f", {place.metric}"
    name = report.row_names[place.row] + metric
    if len(place.arms) == 2:
        a, b = place.arms
        arms, letters = pair_text(report, a, b), pair_letters(report, a, b)
    else:
        (arm,) = place.arms
        arms, letters = report.arm_names[arm], report.letters[arm]
    return f"{name}: {arms}", "" if report.is_masked else letters


def _arms(report: Report, place: Place) -> list[tuple[str, str]]:
    return [
        (report.arm_names[arm], "" if report.is_masked else report.letters[arm])
        for arm in place.arms
    ]


# --- Ratios ---------------------------------------------------------------------------------------


def _ratios(report: Report, place: Place, number: int) -> Behind:
    """The regions behind an SNR or a CNR."""
    plan, regions = report.plan, report.frames[1]
    derived = report.results.derived
    part = derived[(derived["metric"] == place.metric) & (derived["tissue"] == place.row)]
    values = part.pivot(index="volunteer", columns="arm", values="value")
    values = values.reindex(columns=list(plan.arms)).astype(float)
    cells = regions.set_index(["volunteer", "arm", "tissue"])[["mean", "sd"]]
    measured = cells.unstack("tissue")
    wanted = [(place.row, "mean")]
    if place.metric == "CNR":
        wanted.append((plan.reference_tissue, "mean"))
    wanted.append((plan.air, "sd") if plan.air else (place.row, "sd"))
    headings = []
    for arm in place.arms:
        own = f" ({report.arm_names[arm]})" if len(place.arms) == 2 else ""
        headings += [
            *(
                f"{'Mean' if what == 'mean' else 'SD'} of {_lower(report, t)}{own}"
                for t, what in wanted
            ),
            f"{place.metric}{own}",
        ]
    if len(place.arms) == 2:
        headings.append("Difference, second minus first")
    codes = [
        c for c in sorted(values.index, key=str) if not place.volunteer or c == place.volunteer
    ]
    shown, page = paged([str(code) for code in codes], number)
    lines = []
    for code in shown:
        row: list[tuple[str, str]] = []
        for arm in place.arms:
            for tissue, what in wanted:
                try:
                    value = measured.at[(code, arm), (what, tissue)]
                except KeyError:  # this arm of this volunteer was not measured
                    value = float("nan")
                row.append((number_text(value), exact_text(value)))
            value = values.at[code, arm]
            row.append((number_text(value), exact_text(value)))
        if len(place.arms) == 2:
            change = values.at[code, place.arms[1]] - values.at[code, place.arms[0]]
            row.append((signed_text(change), exact_text(change)))
        lines.append(Line(code, row))
    title, letters = _head(report, place)
    legend = (
        f"Regions and ratios of {len(codes)} volunteers (n); noise estimate of the plan: "
        f"{plan.noise_estimate}. Means and SDs are of the stored pixels (SD: n − 1)."
    )
    return Behind(
        title, letters, _arms(report, place), headings, [], lines, page, len(codes), legend
    )


def _lower(report: Report, tissue: str) -> str:
    return report.row_names.get(tissue, tissue).lower()


# --- Scores and choices ---------------------------------------------------------------------------


def _answers(study: Study, report: Report, user: User | None, place: Place, number: int) -> Behind:
    texts, values = _scores(report, place) if place.metric == "score" else _choices(report, place)
    readers = [place.reader] if place.reader else report.readers
    codes = sorted({code for code, _reader, _arm in texts}, key=str)
    codes = [code for code in codes if not place.volunteer or code == place.volunteer]
    shown, page = paged(codes, number)
    record = _record(study, report, user, place, shown)
    slots = place.arms if place.metric == "score" else ("",)
    lines, comments = [], []
    for code in shown:
        given: list[list[Given | None]] = []
        for reader in readers:
            own: list[Given | None] = []
            for arm in slots:
                text = texts.get((code, reader, arm))
                how = record.get((code, reader, arm), {})
                own.append(Given(text, **how) if text is not None else None)
                if text is not None and how.get("comment"):
                    letter = report.letters.get(arm, "")
                    comments.append((code, reader, letter, how["comment"]))
            given.append(own)
        lines.append(Line(code, values.get(code, []), given))
    headings = []
    if place.metric == "score" and report.plan.reader_summary != "each":
        summary = report.plan.reader_summary.capitalize()
        headings = [f"{summary}{_of(report, place, arm)}" for arm in place.arms]
        headings += ["Difference, second minus first"] if len(place.arms) == 2 else []
    title, letters = _head(report, place)
    two = ", first → second arm" if len(slots) == 2 else ""
    legend = (
        f"{len(codes)} volunteers (n), {len(readers)} readers; the answer that counts{two}. "
        "Beneath: how often it was given anew, time with the images, comment (★). A dash: no "
        "submitted score."
    )
    return Behind(
        title,
        letters,
        _arms(report, place),
        headings,
        readers,
        lines,
        page,
        len(codes),
        legend,
        comments,
    )


def _of(report: Report, place: Place, arm: str) -> str:
    return f" ({report.arm_names[arm]})" if len(place.arms) == 2 else ""


Texts = dict[tuple[str, str, str], str]


def _scores(report: Report, place: Place) -> tuple[Texts, dict[str, list[tuple[str, str]]]]:
    scores = report.frames[0]
    part = scores[(scores["criterion"] == place.row) & scores["arm"].isin(place.arms)]
    texts = {
        (str(row.volunteer), str(row.reader), str(row.arm)): f"{row.score:g}"
        for row in part.itertuples()
        if pd.notna(row.score)
    }
    values: dict[str, list[tuple[str, str]]] = {}
    if report.plan.reader_summary == "each":
        return texts, values
    summaries = report.results.summaries
    own = summaries[summaries["criterion"] == place.row]
    wide = own.pivot(index="volunteer", columns="arm", values="score").astype(float)
    wide = wide.reindex(columns=list(report.plan.arms))
    for code, row in wide.iterrows():
        cells = [(number_text(row[arm]), exact_text(row[arm])) for arm in place.arms]
        if len(place.arms) == 2:
            change = row[place.arms[1]] - row[place.arms[0]]
            cells.append((signed_text(change), exact_text(change)))
        values[str(code)] = cells
    return texts, values


def _choices(report: Report, place: Place) -> tuple[Texts, dict[str, list[tuple[str, str]]]]:
    frame = report.answers[1]
    pair = set(place.arms)
    texts = {
        (str(row.volunteer), str(row.reader), ""): report.arm_names[row.chosen]
        for row in frame[frame["criterion"] == place.row].itertuples()
        if {row.first, row.second} == pair and isinstance(row.chosen, str)
    }
    return texts, {}


def _record(
    study: Study, report: Report, user: User | None, place: Place, volunteers: list[str]
) -> dict[tuple[str, str, str], dict[str, Any]]:
    """How the answers of these volunteers were given, by volunteer, reader and arm (as shown)."""
    codes = {letter: code for code, letter in study.arm_letters.items()}
    stored = {(codes[arm] if report.is_masked else arm): arm for arm in place.arms}
    items = Item.objects.filter(
        session__study=study,
        session__occasion=1,
        purpose=Item.Purpose.PRIMARY,
        submitted_at__isnull=False,
        volunteer__code__in=volunteers,
    ).select_related("session", "volunteer", "arm", "comparison__first", "comparison__second")
    chosen: dict[int, tuple[str, str, str]] = {}
    times: dict[int, Any] = {}
    for item in items:
        if place.metric == "choice":
            pair = item.comparison
            if pair is None or {pair.first.code, pair.second.code} != set(stored):
                continue
            arm = ""
        elif item.arm is None or item.arm.code not in stored:
            continue
        else:
            arm = stored[item.arm.code]
        chosen[item.pk] = (item.volunteer.code, item.session.reader_code, arm)
        if not item.session.is_imported:
            times[item.pk] = item.submitted_at
    found: dict[tuple[str, str, str], dict[str, Any]] = defaultdict(dict)
    counted = ScoreRevision.objects.filter(item__in=chosen, criterion__code=place.row)
    for pk, count in counted.order_by().values_list("item").annotate(Count("pk")):
        found[chosen[pk]]["revisions"] = count
    latest = CommentRevision.objects.filter(item__in=chosen).order_by("item_id", "revision")
    for pk, text in latest.values_list("item", "text"):
        found[chosen[pk]]["comment"] = text
    for pk, at in times.items():
        found[chosen[pk]]["submitted_at"] = at
    if user is None or Role.STATISTICIAN in roles_in(user, study):
        spent = Visit.objects.filter(item__in=chosen).order_by()
        for pk, ms in spent.values_list("item").annotate(Sum("active_ms")):
            found[chosen[pk]]["seconds"] = ms / 1000
    return found
