"""What the platform knows of a study and the drafts say: numbers and choices, no opinion."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q

from readerstudy.conduct.locking import standing_lock
from readerstudy.conduct.models import Locking
from readerstudy.imaging.models import Series
from readerstudy.measurements.models import Measurement
from readerstudy.reading.models import Item, Session
from readerstudy.reports.bundles.acquisition import acquisition_frame
from readerstudy.reports.exclusions import exclusions_of
from readerstudy.reports.models import Exclusion
from readerstudy.reports.report import Report
from readerstudy.reports.wording import FAMILIES, ZEROS, alpha_text
from readerstudy.studies.models import PlanVersion, Study

from .missing import Missing, missing_from


@dataclass(frozen=True)
class Facts:
    report: Report
    protocol: dict[str, Any]
    is_imported: bool
    repeats: int  # hidden repeats that were submitted
    later: int  # items of later occasions that were submitted
    practice: int
    models: tuple[str, ...]  # empty while arms are masked
    series: int
    regions_imported: bool  # some or all were measured elsewhere
    version: PlanVersion | None  # of the plan that these results follow; none is signed
    lock: Locking | None
    left_out: tuple[Exclusion, ...]  # of the sensitivity analysis
    missing: Missing
    has_table_1: bool  # of the acquisition

    @property
    def reading(self) -> dict[str, Any]:
        found: dict[str, Any] = self.protocol.get("reading", {})
        return found

    @property
    def arms(self) -> list[str]:
        return list(self.report.arm_names.values())

    @property
    def control(self) -> str:
        """Named only where it may be."""
        if self.report.is_masked:
            return "the control (held back until unblinding)"
        return next((a["name"] for a in self.report.data["arms"] if a["is_control"]), "the control")

    @property
    def criteria(self) -> list[str]:
        return [row["name"] for row in self.report.data["criteria"]]

    @property
    def tissues(self) -> list[str]:
        return [row["name"] for row in self.report.data["tissues"] if row["purpose"] != "air"]

    def name(self, code: str) -> str:
        if self.report.is_masked:
            return f"arm {code}"
        return self.report.arm_names.get(code, code)


def facts_of(study: Study, report: Report) -> Facts:
    items = Item.objects.filter(session__study=study, submitted_at__isnull=False)
    counts = items.aggregate(
        repeats=Count("pk", filter=Q(purpose=Item.Purpose.REPEAT)),
        later=Count("pk", filter=Q(session__occasion__gt=1)),
        practice=Count("pk", filter=Q(purpose=Item.Purpose.PRACTICE)),
    )
    derived = Series.objects.filter(volunteer__study=study, arm__kind="derived").exclude(
        provenance={}
    )
    models: tuple[str, ...] = ()
    if not report.is_masked:
        models = tuple(_models(list(derived.values_list("arm__name", "provenance"))))
    return Facts(
        report,
        study.protocol or {},
        Session.objects.filter(study=study, is_imported=True).exists(),
        counts["repeats"],
        counts["later"],
        counts["practice"],
        models,
        Series.objects.filter(volunteer__study=study).count(),
        Measurement.objects.filter(
            volunteer__study=study, origin=Measurement.Origin.IMPORTED
        ).exists(),
        PlanVersion.objects.filter(study=study, number=report.plan_version or 0).first(),
        standing_lock(study),
        tuple(exclusions_of(study)),
        missing_from(study, report),
        acquisition_frame(study, report) is not None,
    )


def _models(rows: list[tuple[str, dict[str, Any]]]) -> list[str]:
    """ "DLR-double-fast: ddlr 2 (weights 0123abcd…)", one line an arm and version."""
    said: Counter[str] = Counter()
    for arm, provenance in rows:
        name = provenance.get("model") or provenance.get("method") or ""
        if isinstance(name, dict):
            name = name.get("name", "")
        if not name:
            continue
        version = provenance.get("model_version") or provenance.get("version") or ""
        weights = str(provenance.get("weights_sha256") or "")
        told = [*([f"weights SHA-256 {weights[:16]}…"] if weights else []), *_quality(provenance)]
        said[f"{arm}: {name} {version}".rstrip() + (f" ({'; '.join(told)})" if told else "")] += 1
    return sorted(said)


def _quality(provenance: dict[str, Any]) -> list[str]:
    """Of an image quality transfer: what was made of what, which a model's name does not say."""
    if provenance.get("appearance"):
        return [str(provenance["appearance"])]
    if not provenance.get("thick"):
        return []
    whence = "added up from thin ones (simulation)" if provenance.get("simulated") else "as scanned"
    return [f"thin slices made from thick ones, {whence}"]


def listed(names: list[str]) -> str:
    """ "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def sentence(text: str) -> str:
    """On one line, with a full stop unless it ends in a mark of its own."""
    line = " ".join(text.split())
    return line if not line or line.endswith((".", "!", "?")) else f"{line}."


def significance(facts: Facts) -> str:
    """The planned test, its correction and alpha, and what the intervals are."""
    plan = facts.report.plan
    exact = (
        "exact, conditional on ties" if plan.method == "exact" else "by the normal approximation"
    )
    return (
        f"two-sided Wilcoxon signed-rank tests ({exact}, {ZEROS[plan.zeros]}); p values were "
        f"corrected after Benjamini and Hochberg over {FAMILIES[plan.family]}. "
        f"q ≤ {alpha_text(plan.alpha)} was taken as significant."
    )
