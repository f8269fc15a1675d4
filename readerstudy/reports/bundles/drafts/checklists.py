"""GRRAS and CLAIM, item by item, with what the platform knows; the rest is for the authors.

GRRAS: Kottner et al., J Clin Epidemiol 2011;64:96–106. CLAIM: Mongan, Moy and Kahn, Radiol Artif
Intell 2020;2:e200029. The items are named in our words; read the originals beside them.
"""

from __future__ import annotations

from readerstudy.studies.models import Study
from readerstudy.studies.wording import WARNING_MAPS

from .document import TO_WRITE, Section
from .facts import Facts, listed, significance

Rows = list[tuple[str, str, str]]
_COLUMNS = ("Item", "What it asks", "From this study")
_WIDTHS = (1.2, 6.0, 9.8)


def grras(facts: Facts) -> list[Section]:
    return [_section("GRRAS: reliability and agreement", _grras_rows(facts))]


def claim(facts: Facts) -> list[Section]:
    return [_section("CLAIM: artificial intelligence in medical imaging", _claim_rows(facts))]


def _section(heading: str, rows: Rows) -> Section:
    return Section(heading, columns=_COLUMNS, rows=rows, widths_cm=_WIDTHS)


def _counts(facts: Facts) -> str:
    report = facts.report
    repeats = (
        f"; {facts.repeats} hidden repeats and {facts.later} items of later occasions submitted"
        if not facts.is_imported
        else ""
    )
    return (
        f"{len(report.readers)} readers, {len(report.volunteers)} volunteers, "
        f"{len(facts.arms)} image sets each, {len(report.frames[0])} scores{repeats}."
    )


def _process(facts: Facts) -> str:
    if facts.is_imported:
        return f"Scores were given elsewhere and imported. {TO_WRITE}"
    reading = facts.reading
    is_open = reading.get("warning_maps") == Study.WarningMaps.OPEN
    text = (
        f"{'Not blinded' if is_open else 'Blinded'} to the image set; mode: "
        f"{reading.get('mode', 'relative')}; random order for each reader, stored before the "
        "reading; no clinical information was shown."
    )
    if reading.get("occasions", 1) > 1:
        text += f" {reading['occasions']} occasions, {reading['washout_days']} days apart or more."
    if reading.get("warning_maps"):
        text += f" Warning maps: {WARNING_MAPS[reading['warning_maps']]}."
    if reading.get("repeat_percent"):
        text += f" Hidden repeats: {reading['repeat_percent']} % of the items."
    return text


def _independence(facts: Facts) -> str:
    if facts.is_imported:
        return TO_WRITE
    return (
        "Independently: no reader could see another's scores before the lock; this is enforced by "
        "the platform and recorded in the audit trail."
    )


def _analysis(facts: Facts) -> str:
    found = facts.report.results.agreement
    names = list(dict.fromkeys(found["statistic"])) if len(found) else []
    said = f"{listed(names)}, with 95 % intervals over whole volunteers. " if names else ""
    return f"{said}Plan SHA-256 {facts.report.plan_sha256}. See the draft of the methods."


def _grras_rows(facts: Facts) -> Rows:
    agreement = "Table 4, agreement.csv." if len(facts.report.results.agreement) else TO_WRITE
    return [
        ("1", "Title or abstract says that reliability or agreement was studied", TO_WRITE),
        ("2", "The measurement or diagnostic device is named", _images(facts)),
        ("3", "The population of subjects", f"Volunteers. {TO_WRITE}"),
        ("4", "The population of raters", f"{_raters(facts)} {TO_WRITE}"),
        ("5", "What is known, and why the study was made", TO_WRITE),
        ("6", "How the sample size was chosen; raters, subjects, replicates", _counts(facts)),
        ("7", "How subjects and raters were sampled", TO_WRITE),
        ("8", "The rating process: interval, information, blinding", _process(facts)),
        ("9", "Whether ratings were independent", _independence(facts)),
        ("10", "The statistical analysis", _analysis(facts)),
        ("11", "Numbers of raters, subjects and replicates included", _counts(facts)),
        ("12", "Characteristics of raters and subjects", TO_WRITE),
        ("13", "Estimates of reliability and agreement with their uncertainty", agreement),
        ("14", "Practical relevance of the results", TO_WRITE),
        ("15", "Detailed results where possible", "The export bundle: results.json and CSV files."),
    ]


def _raters(facts: Facts) -> str:
    readers = facts.report.readers
    return f"{len(readers)} readers ({', '.join(readers)}). Profession and experience:"


def _images(facts: Facts) -> str:
    acquired = "Table 1." if facts.has_table_1 else TO_WRITE
    return f"Image sets: {listed(facts.arms)}. Acquisition parameters: {acquired}"


def _tested(facts: Facts) -> str:
    plan = facts.report.plan
    said = f"{significance(facts)[0].upper()}{significance(facts)[1:]} "
    if plan.margin is not None:
        said += f"Non-inferiority: interval of the mean difference, margin {plan.margin:g}. "
    return (
        f"{said}Intervals: tests.csv and agreement.csv name the method of each. Plan SHA-256 "
        f"{facts.report.plan_sha256}."
    )


def _claim_rows(facts: Facts) -> Rows:
    report = facts.report
    plan = report.plan
    if report.is_masked:
        model = "Held back until unblinding."
    elif facts.models:
        model = "; ".join(facts.models) + "."
    else:
        model = TO_WRITE
    goal = (
        f"Reader study; non-inferiority with a margin of {plan.margin:g} points."
        if plan.margin is not None
        else "Reader study; superiority tests of pre-specified comparisons, no equivalence test."
    )
    if report.is_masked:
        training = "Held back until unblinding."
    elif facts.models:
        training = (
            "The weights are those whose SHA-256 item 22 names. How they came about, and whether "
            f"an image of this study had a part in it: see the model card. {TO_WRITE}"
        )
    else:
        training = TO_WRITE
    missing = " ".join(facts.missing.sentences)
    sensitivity = listed(list(plan.sensitivity)) if plan.sensitivity else ""
    beside = listed(list(plan.beside)) if plan.beside else ""
    robust = f"Other noise estimates beside the planned one: {beside}. " if beside else ""
    robust += f"Sensitivity analyses: {sensitivity}." if sensitivity else ""
    return [
        ("1", "Title or abstract names the AI method", TO_WRITE),
        ("2", "Structured abstract", TO_WRITE),
        ("3", "Background, intended use and clinical role", TO_WRITE),
        ("4", "Objectives and hypotheses", TO_WRITE),
        ("5", "Prospective or retrospective", TO_WRITE),
        ("6", "Goal of the study", goal),
        ("7", "Data sources", report.credits or TO_WRITE),
        ("8", "Eligibility criteria", TO_WRITE),
        ("9", "Preprocessing", report.notice or TO_WRITE),
        ("10", "Selection of subsets of the data", "All submitted items of the first occasion."),
        ("11", "Definitions of data elements", "dictionary.csv of the export bundle."),
        ("12", "De-identification", _deidentification(facts)),
        ("13", "Missing data", missing),
        ("14", "Definition of the reference standard", f"The control: {facts.control}."),
        ("15", "Rationale for it", TO_WRITE),
        ("16", "Source of annotations; readers' qualification", f"{_counts(facts)} {TO_WRITE}"),
        ("17", "Annotation tools", _tools(facts)),
        ("18", "Variability between and within readers", _analysis(facts)),
        ("19", "Sample size and how it was determined", f"{_counts(facts)} {TO_WRITE}"),
        (
            "20",
            "How data were assigned to partitions",
            f"The volunteers of the study are one test set. {TO_WRITE}",
        ),
        ("21", "Level at which partitions are disjoint", TO_WRITE),
        ("22", "The model", model),
        ("23", "Software", "manifest.json of the export bundle."),
        ("24", "Initialisation of the model's parameters", training),
        ("25", "Training", training),
        ("26", "Selection of the final model", training),
        ("27", "Ensembling", TO_WRITE),
        ("28", "Measures of performance", _measures(facts)),
        ("29", "Significance and uncertainty", _tested(facts)),
        ("30", "Robustness and sensitivity", robust.strip() or TO_WRITE),
        ("31", "Explainability", TO_WRITE),
        ("32", "External testing", TO_WRITE),
        ("33", "Flow of participants", _counts(facts)),
        ("34", "Demographic and clinical characteristics", TO_WRITE),
        ("35", "Performance on all partitions", "Tables 2 and 3 of the export bundle."),
        ("36", "Estimates with their precision", "tests.csv: effects with 95 % intervals."),
        ("37", "Failure analysis", TO_WRITE),
        ("38", "Limitations", TO_WRITE),
        ("39", "Implications for practice", TO_WRITE),
        ("40", "Registration", TO_WRITE),
        ("41", "Where the protocol can be read", _protocol(facts)),
        ("42", "Funding", TO_WRITE),
    ]


def _deidentification(facts: Facts) -> str:
    if not facts.series:
        return f"No image is stored on the platform. {TO_WRITE}"
    return (
        "On upload, by an allow-list after the Basic Application Confidentiality Profile of DICOM "
        "PS3.15; original files were deleted."
    )


def _tools(facts: Facts) -> str:
    return f"Imported tables. {TO_WRITE}" if facts.is_imported else "ReaderStudy, in the browser."


def _measures(facts: Facts) -> str:
    metrics = list(dict.fromkeys(facts.report.results.tests["metric"]))
    said = f"{listed([str(name) for name in metrics])}; " if metrics else ""
    return f"{said}criteria: {listed(facts.criteria)}."


def _protocol(facts: Facts) -> str:
    # The protocol's hash covers the order of the arms: not before unblinding.
    sha256 = facts.report.data["study"].get("protocol_sha256", "")
    return f"Frozen at launch, SHA-256 {sha256}. {TO_WRITE}" if sha256 else TO_WRITE
