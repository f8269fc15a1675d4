"""The drafts as files."""

from __future__ import annotations

from functools import cache

from readerstudy.reports.bundles.making import Makers
from readerstudy.reports.report import Report
from readerstudy.studies.models import Study

from .checklists import claim, grras
from .document import draft
from .facts import facts_of
from .paragraphs import methods, results


def draft_makers(study: Study, report: Report) -> Makers:
    facts, mark = cache(lambda: facts_of(study, report)), report.post_hoc
    return {
        "drafts/methods_and_results.docx": lambda: draft(
            f"{report.title}: methods and results", [*methods(facts()), *results(facts())], mark
        ),
        "drafts/grras.docx": lambda: draft(f"{report.title}: GRRAS", grras(facts()), mark),
        "drafts/claim.docx": lambda: draft(f"{report.title}: CLAIM", claim(facts()), mark),
    }
