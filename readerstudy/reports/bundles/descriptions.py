"""What each file of the bundle is, and the readme that says it."""

from __future__ import annotations

from collections.abc import Sequence

from readerstudy.reports.exports import DESCRIPTIONS
from readerstudy.reports.report import Report
from readerstudy.reports.wording import MASKED, method_text, noise_text

_FILES = {
    **DESCRIPTIONS,
    "ratings_wide.csv": "Scores, one row a volunteer, arm and reader, one column a criterion",
    "dictionary.csv": "What every column means: label, type, unit, values",
    "dictionary.json": "What every column means, for programs",
    "results.json": "Every result with every digit, for programs; missing is null",
    "results.xlsx": "Data and results as one workbook",
    "summaries_long.csv": "The readers' summary of every volunteer, arm and criterion",
    "non_inferiority.csv": "Differences against the margin of the plan",
    "sensitivity.csv": "Analyses beside the planned tests",
    "shares.csv": "Share of the scores of 3 or more",
    "beside_long.csv": "Ratios under other noise estimates, and contrasts",
    "beside.csv": "Ratios under other noise estimates, and contrasts, summarised",
    "gains.csv": "The factor of each comparison under each noise estimate",
    "scripts/ratings_long.csv": "What the scripts read",
    "scripts/roi_long.csv": "What the scripts read",
    "scripts/recompute_tables.R": "Tables 2 and 3, p and q again in R",
    "scripts/recompute_tables.sps": "Tables 2 and 3, p and q again in SPSS or PSPP",
    "scripts/recompute_tables.do": "Tables 2 and 3, p and q again in Stata 14 or later",
    "scripts/mixed_models.R": "Cumulative link mixed models in R",
    "manifest.json": "Hashes, plan, lock and unblinding, software",
    "SHA256SUMS": "For sha256sum -c SHA256SUMS",
    "readme.txt": "This text",
    "drafts/methods_and_results.docx": "Draft of the paragraphs, to be checked and rewritten",
    "drafts/grras.docx": "Draft of the GRRAS checklist",
    "drafts/claim.docx": "Draft of the CLAIM checklist",
}
_KINDS = {
    "sav": "for SPSS, with labels",
    "dta": "for Stata, with labels",
    "html": "for a browser",
    "tex": "for LaTeX",
    "docx": "for Word",
    "csv": "as CSV",
    "svg": "as SVG",
    "pdf": "as PDF",
    "png": "as PNG, 300 dpi",
}
_STEMS = {
    "figure3": "SNR and CNR by tissue: mean, SD, significant q",
    "figure4": "Scores by criterion: mean, SD, significant q",
    "bland_altman": "Bland–Altman of the SNR",
    "scores": "Share of each score",
    "differences": "Paired differences with intervals",
    "choices": "Forced choices",
    "ranking": "Ranks",
    "table1": "Acquisition parameters",
    "exclusions": "Who is left out of the sensitivity analysis, and why",
    "tests_without_excluded": "Every test without those left out",
    "table2": "SNR and CNR",
    "table2_beside": "Ratios under other noise estimates, and contrasts",
    "table3": "Scores, mean ± SD",
    "table3_medians": "Scores, medians and quartiles",
    "table3_shares": "Shares of scores of 3 or more",
    "table4": "Agreement between readers",
    "table5": "Non-inferiority",
    "table6": "Forced choice",
    "table7": "Odds of being preferred",
    "table8": "Ranking",
    "derived_long": "SNR and CNR of every volunteer, arm and tissue",
    "ratings_long": "Every score",
    "ratings_wide": "Scores, one column a criterion",
    "roi_long": "Region measurements",
}


def describe(name: str) -> str:
    """One line on a file of the bundle."""
    if name in _FILES:
        return _FILES[name]
    stem, _, kind = name.rpartition("/")[2].rpartition(".")
    if stem.startswith("imrmc_"):
        return f"Scores of {stem.removeprefix('imrmc_')} in the layout of iMRMC"
    return f"{_STEMS.get(stem, stem)}, {_KINDS.get(kind, kind)}"


def readme(report: Report, names: Sequence[str]) -> str:
    """What the data are, how the numbers came about, and what each file holds."""
    kind = "Arms are masked." if report.is_masked else "Arms are named; letters stand beside."
    lines = [report.title, "=" * len(report.title), ""]
    if report.notice:
        lines += [f"NOTICE: {report.notice}", ""]
    lines += [kind, *([MASKED] if report.is_masked else []), ""]
    lines += [
        f"{len(report.volunteers)} volunteers, {len(report.readers)} readers.",
        f"Noise: {noise_text(report.plan.noise_estimate)}.",
        "q: " + method_text(report.plan, report.results.tests),
        "Differences and effects are b minus a: second arm minus first.",
        "",
        "Text is UTF-8; numbers have every digit and a decimal point; an empty cell is missing.",
        "Text that a spreadsheet would take for a formula has an apostrophe in front.",
        "",
    ]
    signed = report.signing.text if report.signing else "not signed"
    lines += [f"Analysis plan: {signed}.", ""]
    if names:
        lines += ["Check the files:  sha256sum -c SHA256SUMS", ""]
        width = max(len(name) for name in names)
        lines += [f"{name:<{width}}  {describe(name)}" for name in names]
        lines += [""]
    lines += [f"Plan SHA-256  {report.plan_sha256}", f"Data SHA-256  {report.data_sha256}"]
    if report.credits:
        lines += ["", "Credits", report.credits]
    return "\n".join(lines) + "\n"
