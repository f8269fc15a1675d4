"""Methods and results as a paper says them, from the plan and the numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from analysis.tables import fixed, format_mean_sd, format_q
from readerstudy.reports.plan_wording import moment_of
from readerstudy.reports.wording import SUMMARIES, noise_text
from readerstudy.studies.models import Study
from readerstudy.studies.wording import WARNING_MAPS

from .beside import beside_the_tests, signed_number
from .document import TO_WRITE, Section
from .facts import Facts, listed, sentence, significance

_MODES = {
    Study.ReadingMode.RELATIVE.value: "Readers saw each image set beside the control of the same "
    "volunteer and scored it in relation to it",
    Study.ReadingMode.ABSOLUTE.value: "Readers saw each image set alone and scored it",
    Study.ReadingMode.CHOICE.value: "Readers saw the two arms of a comparison side by side and "
    "chose the better one",
    Study.ReadingMode.RANKING.value: "Readers saw all arms of a volunteer and ranked them",
}

_MOST_WARNINGS = 20


def methods(facts: Facts) -> list[Section]:
    return [
        Section("Participants and images", _participants(facts)),
        Section("Image quality scores", _reading(facts)),
        Section("Quantitative analysis", _quantities(facts)),
        Section("Statistical analysis", _statistics(facts)),
    ]


def _participants(facts: Facts) -> list[str]:
    report = facts.report
    text = (
        f"{len(report.volunteers)} volunteers were included. {len(facts.arms)} image sets of each "
        f"were compared: {listed(facts.arms)}."
    )
    if not report.is_masked:
        text += f" {facts.control[0].upper()}{facts.control[1:]} was the control."
    table = "; see Table 1" if facts.has_table_1 else ""
    lines = [text, f"{TO_WRITE[:-1]}: scanner, coil, ethics approval, consent{table}]"]
    if facts.models:
        lines.append("Derived image sets were made by " + "; ".join(facts.models) + ".")
    if report.notice:
        lines.append(f"Note: {report.notice.rstrip('.')}.")
    return lines


def _reading(facts: Facts) -> list[str]:
    report, reading = facts.report, facts.reading
    if not report.readers:
        return ["No image was scored."]
    who = f"{len(report.readers)} readers ({', '.join(report.readers)}) took part independently."
    if facts.is_imported:
        return [
            f"{who} Scores were given outside the platform and imported. How they were read: "
            f"{TO_WRITE}.",
            f"Criteria: {listed(facts.criteria)}.",
        ]
    mode = _MODES.get(reading.get("mode", ""), _MODES["relative"])
    points = ""
    if report.plan.score_range:
        low, high = (fixed(limit, 0) for limit in report.plan.score_range)
        points = f" on a scale from {low} to {high}"
    text = (
        f"{who} {mode}{points}, for {listed(facts.criteria)}. {_blinding(reading)}"
        "header or date was shown, and the order was drawn at random for each reader and stored "
        f"before the reading, with at least {reading.get('minimum_gap', 1)} item(s) of other "
        "volunteers between two items of one volunteer."
    ).replace("item(s)", "item" if reading.get("minimum_gap", 1) == 1 else "items")
    extra = []
    if reading.get("warning_maps"):
        extra.append(f"Warning maps were offered: {WARNING_MAPS[reading['warning_maps']]}.")
    if reading.get("repeat_percent"):
        extra.append(
            f"{reading['repeat_percent']} % of the items were repeated without the readers' "
            "knowledge to measure intra-reader agreement; repeats did not enter the primary "
            "analysis."
        )
    if reading.get("occasions", 1) > 1:
        extra.append(
            f"Readings were repeated on {reading['occasions']} occasions at least "
            f"{reading['washout_days']} days apart; the first entered the primary analysis."
        )
    return [" ".join([text, *extra])]


def _blinding(reading: Mapping[str, Any]) -> str:
    """An image's own warning map tells what made it: who saw one did not read blinded."""
    if reading.get("warning_maps") == Study.WarningMaps.OPEN:
        return "Readers were not blinded to how an image was made; no name, "
    return "Readers were blinded: no name, "


def _quantities(facts: Facts) -> list[str]:
    plan = facts.report.plan
    if facts.report.frames[1].empty:
        return ["No region was measured."]
    reference = facts.report.row_names.get(plan.reference_tissue, "")
    cnr = (
        f" and CNR as the difference of the means of tissue and {reference.lower()}, over the noise"
        if reference
        else ""
    )
    placed = (
        f"Regions of interest in {listed(facts.tissues)} were measured outside the platform and "
        f"imported. How they were placed: {TO_WRITE}."
        if facts.regions_imported
        else f"Elliptical regions of interest were placed in {listed(facts.tissues)} and, of one "
        "volunteer, applied at the same place in all image sets."
    )
    return [
        f"{placed} SNR was computed as the mean of "
        f"the tissue over the noise{cnr}. Noise was {noise_text(plan.noise_estimate)}. Processing "
        "that smooths the air lowers its SD and so raises SNR and CNR taken against it by "
        "construction; "
        "estimates without that flaw are given beside."
    ]


def _statistics(facts: Facts) -> list[str]:
    plan = facts.report.plan
    lines = [
        f"Scores of a volunteer, image set and criterion were summarised as "
        f"{SUMMARIES[plan.reader_summary]}. Pairs of image sets were compared by "
        f"{significance(facts)} {_COMPARISONS[_is_late(facts)]}: "
        + "; ".join(f"{facts.name(a)} v {facts.name(b)}" for a, b in plan.comparisons)
        + ". Effects are Hodges–Lehmann shifts with exact intervals. Agreement between readers was "
        "described with intervals from a bootstrap over whole volunteers. The readers are fixed: "
        "conclusions concern these readers.",
        _registration(facts),
    ]
    if plan.margin is not None:
        lines.append(
            f"Non-inferiority was decided from the interval of the mean difference against a "
            f"margin of {plan.margin:g} points"
            + (", set when masked results could be seen." if _is_late(facts) else ".")
        )
    else:
        lines.append(
            "No equivalence or non-inferiority was tested: a difference that is not significant "
            "does not show equivalence."
        )
    return lines


_COMPARISONS = {
    False: "Pre-specified comparisons",
    True: "Comparisons of a plan that was signed after the lock",
}


def _is_late(facts: Facts) -> bool:
    """Whether the plan was changed when masked results, or the arms, could be seen."""
    return bool(facts.report.post_hoc or facts.report.amended)


def _registration(facts: Facts) -> str:
    """When the plan was fixed, under which hash, over which data: what a reviewer asks first."""
    report, version = facts.report, facts.version
    if report.post_hoc:
        return (
            f"{report.post_hoc.rstrip('.')}. This plan (SHA-256 {report.plan_sha256}) was written "
            "when the arms were known: its results are exploratory."
        )
    if version is None:
        said = f"The analysis plan (SHA-256 {report.plan_sha256}) is not signed yet."
    else:
        # `moment_of` says whether that was before the launch, while it was read, or after the lock.
        said = (
            f"The analysis plan (version {version.number}, SHA-256 {version.sha256}) was signed by "
            f"{version.signed_name} on {version.signed_at:%Y-%m-%d} ({moment_of(version)})."
        )
        if version.number > 1 and version.reason:
            said += f" It amends version {version.number - 1}: {sentence(version.reason)}"
    if facts.lock is not None:
        said += f" Scores and regions were locked on {facts.lock.locked_at:%Y-%m-%d}"
        said += "; the arms are still masked." if report.is_masked else ", before the unblinding."
    return said


def results(facts: Facts) -> list[Section]:
    report = facts.report
    sections = []
    tests, cells = report.results.tests, report.results.descriptives
    for metric, heading in (("score", "Scores"), ("SNR", "SNR"), ("CNR", "CNR")):
        mine = tests[tests["metric"] == metric]
        if mine.empty:
            continue
        lines = []
        for pair in report.plan.comparisons:
            lines.append(_comparison(facts, mine, cells[cells["metric"] == metric], pair))
        sections.append(Section(heading, [line for line in lines if line]))
    if not report.results.agreement.empty:
        sections.append(Section("Agreement between readers", [_agreement(facts)]))
    sections += beside_the_tests(facts)
    sections.append(Section("Missing data", _missing(facts)))
    if report.warnings:
        noted = list(dict.fromkeys(warning.text for warning in report.warnings))
        shown = noted[:_MOST_WARNINGS]
        if len(noted) > len(shown):
            shown.append(f"{len(noted) - len(shown)} further warnings stand in warnings.csv.")
        sections.append(Section("To be said with the numbers", shown))
    return sections


def _comparison(facts: Facts, tests: Any, cells: Any, pair: tuple[str, str]) -> str:
    a, b = pair
    found = tests[(tests["a"] == a) & (tests["b"] == b)]
    means = {
        (row["row"], row["reader"], row["arm"]): format_mean_sd(row["mean"], row["sd"])
        for row in cells.to_dict("records")
    }
    significant: list[str] = []
    others: list[str] = []
    for test in found.to_dict("records"):
        name = facts.report.row_names.get(test["row"], test["row"])
        reader = f", {test['reader']}" if test["reader"] else ""
        place = (test["row"], test["reader"])
        shift = ""
        if not np.isnan(test["hodges_lehmann_low"]):
            low, high = (signed_number(test[f"hodges_lehmann_{end}"]) for end in ("low", "high"))
            shift = f", shift {signed_number(test['hodges_lehmann'])} ({low} to {high})"
        q = format_q(test["q"], facts.report.plan.alpha)
        q = f"q {q}" if q.startswith("<") else f"q = {q}"
        text = (
            f"{name}{reader}: {means.get((*place, a), '–')} v {means.get((*place, b), '–')}"
            f"{shift}, {q}, n = {test['n']}"
        )
        (significant if test["significant"] else others).append(text)
    title = f"{facts.name(a)[0].upper()}{facts.name(a)[1:]} v {facts.name(b)}. "
    parts = []
    if significant:
        parts.append("Significant: " + "; ".join(significant) + ".")
    if others:
        parts.append("Not significant: " + "; ".join(others) + ".")
    return title + " ".join(parts) if parts else ""


def _agreement(facts: Facts) -> str:
    parts = []
    for row in facts.report.results.agreement.to_dict("records"):
        if np.isnan(row["value"]):
            continue
        interval = (
            ""
            if np.isnan(row["low"])
            else f" ({fixed(row['low'], 2)} to {fixed(row['high'], 2)})".replace("-", "−")
        )
        name = facts.report.row_names.get(row["criterion"], row["criterion"])
        parts.append(f"{name}, {row['statistic']}: {signed_number(row['value'])}{interval}")
    return "; ".join(parts) + "."


def _missing(facts: Facts) -> list[str]:
    lines = list(facts.missing.sentences)
    if facts.lock is not None and facts.lock.open_items:
        by = "; ".join(f"{one['reader']}: {one['open']}" for one in facts.lock.open_items)
        lines.append(
            f"At the lock {facts.lock.open_total} items were open ({by}). Reason given: "
            f"{sentence(facts.lock.reason)}"
        )
    for one in facts.left_out:
        late = " (decided after the unblinding: post hoc)" if one.is_post_hoc else ""
        lines.append(
            f"{one.get_kind_display()} {one.code} was left out of a sensitivity analysis{late}: "
            f"{sentence(one.reason)} See tests_without_excluded.csv."
        )
    return lines
