"""A do-file that recomputes Tables 2 and 3, p and q, in Stata from the CSV files.

The exact test is written out in Mata, so that any Stata from version 14 on gives it, ties included.
"""

from __future__ import annotations

from pathlib import Path

from analysis.noise import noise_estimate
from analysis.plan import AnalysisPlan
from readerstudy.reports.report import Report

_TEMPLATE = Path(__file__).with_name("recompute_tables.do")
_FAMILIES = {
    "row": "metric row reader",
    "column": "metric comparison reader",
    "stage": "stage reader",
    "all": "everything",
}


def stata_script(report: Report) -> str:
    plan = report.plan
    metrics = set(report.results.tests["metric"])
    read = []
    if metrics & {"SNR", "CNR"}:
        read.append(_regions(plan))
    if "score" in metrics:
        read.append(_scores(plan))
    settings = [
        f'local arms "{" ".join(plan.arms)}"',
        f'local method "{plan.method}"',
        f'local zeros "{plan.zeros}"',
    ]
    if report.notice:
        settings.insert(0, f"* {' '.join(report.notice.split())}")
    family = f"egen long family = group({_FAMILIES[plan.family]})"
    if plan.family == "all":
        family = f"generate everything = 1\n{family}"
    text = _TEMPLATE.read_text(encoding="utf-8")
    for mark, lines in (
        ("@PLAN@", "\n".join(settings)),
        ("@READ@", "\n".join(read)),
        ("@PAIRS@", _pairs(plan)),
        ("@FAMILY@", family),
    ):
        text = text.replace(mark, lines)
    return text


def _scores(plan: AnalysisPlan) -> str:
    each = plan.reader_summary == "each"
    keys = "volunteer arm criterion" + (" reader" if each else "")
    function = "median" if plan.reader_summary == "median" else "mean"
    complete = plan.missing == "complete" and not each
    lines = [
        'import delimited using "ratings_long.csv", varnames(1) case(preserve) asdouble '
        'stringcols(1 2 3 4) encoding("utf-8") clear',
        *(["quietly levelsof reader, local(readers)"] if complete else []),
        "drop if missing(score)",
        f"collapse ({function}) value=score (count) given=score, by({keys})",
        *(["keep if given == `: word count `readers''"] if complete else []),
        'generate metric = "score"',
        "rename criterion row",
        *([] if each else ['generate reader = ""']),
        "keep metric row reader volunteer arm value",
        'save "`score\'"',
        'local parts "`parts\' score"',
    ]
    return "\n".join(lines)


def _regions(plan: AnalysisPlan) -> str:
    estimate = noise_estimate(plan.noise_estimate)
    own = {"difference": "sd_difference", "tissue_sd": "sd"}.get(estimate.kind, "")
    known = ", ".join(f'"{code}"' for code in plan.tissues)
    lines = [
        'import delimited using "roi_long.csv", varnames(1) case(preserve) asdouble '
        'stringcols(1 2 3) encoding("utf-8") clear',
    ]
    if own:
        lines.append(f"generate double noise = {own}")
    else:
        lines += [
            'save "`regions\'"',
            f'keep if tissue == "{plan.air}"',
            "keep volunteer arm sd",
            "rename sd noise",
            'save "`air\'"',
            'use "`regions\'", clear',
            'merge m:1 volunteer arm using "`air\'", keep(master match) nogenerate',
        ]
    kept = [
        "keep metric row reader volunteer arm value",
    ]
    lines += [
        "replace noise = . if noise <= 0",
        f"keep if inlist(tissue, {known})" if len(plan.tissues) < 10 else _either(plan.tissues),
        'save "`regions\'", replace',
        f"generate double value = mean / (noise / {estimate.divisor!r})",
        'generate metric = "SNR"',
        "rename tissue row",
        'generate reader = ""',
        *kept,
        'save "`snr\'"',
        'local parts "`parts\' snr"',
    ]
    if plan.reference_tissue:
        lines += [
            'use "`regions\'", clear',
            f'keep if tissue == "{plan.reference_tissue}"',
            "keep volunteer arm mean noise",
            "rename (mean noise) (reference_mean reference_noise)",
            'save "`reference\'"',
            'use "`regions\'", clear',
            f'drop if tissue == "{plan.reference_tissue}"',
            'merge m:1 volunteer arm using "`reference\'", keep(master match) nogenerate',
            *(["replace noise = sqrt((noise^2 + reference_noise^2) / 2)"] if own else []),
            f"generate double value = (mean - reference_mean) / (noise / {estimate.divisor!r})",
            'generate metric = "CNR"',
            "rename tissue row",
            'generate reader = ""',
            *kept,
            'save "`cnr\'"',
            'local parts "`parts\' cnr"',
        ]
    return "\n".join(lines)


def _either(codes: tuple[str, ...]) -> str:
    """`inlist` takes nine texts at most."""
    return "keep if " + " | ".join(f'tissue == "{code}"' for code in codes)


def _pairs(plan: AnalysisPlan) -> str:
    unit = f"1e-{plan.decimals}"
    lines = ["local first = 1"]
    for number, (a, b) in enumerate(plan.comparisons, start=1):
        first, second = plan.arms.index(a) + 1, plan.arms.index(b) + 1
        lines += [
            'use "`wide\'", clear',
            f"generate comparison = {number}",
            f'generate a = "{a}"',
            f'generate b = "{b}"',
            f"generate double d = round(value{second} - value{first}, {unit})",
            "drop if missing(d)",
            "if `first' == 0 {",
            '    append using "`pairs\'"',
            "}",
            'save "`pairs\'", replace',
            "local first = 0",
        ]
    return "\n".join(lines)
