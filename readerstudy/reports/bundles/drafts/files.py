"""The drafts as files."""

from __future__ import annotations

from collections.abc import Iterator

from readerstudy.reports.report import Report
from readerstudy.studies.models import Study

from .checklists import claim, grras
from .document import draft
from .facts import facts_of
from .paragraphs import methods, results


def draft_files(study: Study, report: Report) -> Iterator[tuple[str, bytes]]:
    facts, mark = facts_of(study, report), report.post_hoc
    text = [*methods(facts), *results(facts)]
    yield (
        "drafts/methods_and_results.docx",
        draft(f"{report.title}: methods and results", text, mark),
    )
    yield "drafts/grras.docx", draft(f"{report.title}: GRRAS", grras(facts), mark)
    yield "drafts/claim.docx", draft(f"{report.title}: CLAIM", claim(facts), mark)
