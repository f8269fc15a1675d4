"""A syntax file that recomputes Tables 2 and 3, p and q, in SPSS (or PSPP) from the CSV files.

Nothing but base commands: the exact test is a convolution over doubled mid-ranks, written out in
transformations, since SPSS's own needs an extra module and PSPP has none that knows ties. The q
values are Benjamini and Hochberg's over the plan's family.
"""

from __future__ import annotations

from collections.abc import Sequence

from analysis.noise import noise_estimate
from analysis.plan import AnalysisPlan
from readerstudy.reports.report import Report

from .paper import labels_of

# The convolution keeps one scratch variable for each value of the doubled rank sum: n (n + 1) + 1.
MOST_PAIRS_EXACT = 60
_KEYS = "metric row reader"


def spss_script(report: Report) -> str:
    plan, labels = report.plan, labels_of(report)
    scores, regions = report.frames
    metrics = set(report.results.tests["metric"])
    pairs = max((int(n) for n in report.results.tests["n"]), default=0)
    exact = plan.method == "exact" and pairs <= MOST_PAIRS_EXACT
    steps = [_head(report, exact, pairs)]
    made = []
    if metrics & {"SNR", "CNR"}:
        steps.append(_regions(plan, [str(column) for column in regions.columns]))
        made.append("step_snr")
        if plan.reference_tissue:
            made.append("step_cnr")
    if "score" in metrics:
        steps.append(_scores(plan, [str(column) for column in scores.columns]))
        made.append("step_score")
    if not made:
        return steps[0] + "* There is nothing to recompute: no score and no region.\n"
    steps += [_wide(plan, labels, made), _pairs(plan), _ranks(plan)]
    steps += [_exact(pairs) if exact else _asymptotic(plan), _adjusted(plan, labels)]
    return "\n".join(steps)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _head(report: Report, exact: bool, pairs: int) -> str:
    lines = [
        "* Encoding: UTF-8.",
        f"* {_comment(report.title)}: Tables 2 and 3 again, in SPSS or PSPP.",
    ]
    if report.notice:
        lines.append(f"* {_comment(report.notice)}.")
    lines += [
        "* Run it in the folder of ratings_long.csv and roi_long.csv (see CD).",
        "* Writes tests_spss.csv: n, p and q of every comparison. step_*.sav are steps.",
    ]
    if report.plan.method == "exact" and not exact:
        lines += [
            f"* The plan asks for exact tests, which transformations cannot do with {pairs} pairs:",
            "* p is asymptotic here, with correction for ties. R and Stata give the exact ones.",
        ]
    return "\n".join([*lines, "SET DECIMAL=DOT.", "SET MXLOOPS=1000000.", ""])


def _comment(text: str) -> str:
    """On one line, without the full stop that would end the comment early."""
    return " ".join(text.split()).rstrip(".")


def _read(file: str, columns: Sequence[str], texts: Sequence[str]) -> str:
    formats = " ".join(f"{name} {'A60' if name in texts else 'F40.0'}" for name in columns)
    return (
        f"GET DATA /TYPE=TXT /FILE='{file}' /ARRANGEMENT=DELIMITED /DELCASE=LINE /FIRSTCASE=2\n"
        f"  /DELIMITERS=',' /QUALIFIER='\"' /VARIABLES={formats}."
    )


def _save(name: str) -> str:
    return f"SAVE OUTFILE='{name}.sav' /KEEP=metric row reader volunteer arm value."


def _label_rows(metric: str, row: str, reader: str = "''") -> list[str]:
    return [
        "STRING metric (A5).",
        "STRING row (A60).",
        f"COMPUTE metric='{metric}'.",
        f"COMPUTE row={row}.",
        *(["STRING reader (A60).", f"COMPUTE reader={reader}."] if reader else []),
    ]


def _scores(plan: AnalysisPlan, columns: list[str]) -> str:
    each = plan.reader_summary == "each"
    keys = "volunteer arm criterion" + (" reader" if each else "")
    function = "MEAN" if plan.reader_summary in {"each", "mean"} else "MEDIAN"
    lines = [
        "* Scores: one value a volunteer, arm and criterion.",
        _read("ratings_long.csv", columns, ("volunteer", "arm", "reader", "criterion")),
    ]
    if plan.missing == "complete" and not each:
        lines += [
            "* Only where every reader scored.",
            "SORT CASES BY reader.",
            "COMPUTE first_of_reader=1.",
            "IF ($CASENUM > 1 AND reader = LAG(reader)) first_of_reader=0.",
            "COMPUTE everyone=1.",
            "AGGREGATE OUTFILE=* MODE=ADDVARIABLES /BREAK=everyone"
            " /all_readers=SUM(first_of_reader).",
        ]
    all_readers = " /all_readers=MAX(all_readers)" if "all_readers" in "".join(lines) else ""
    lines += [
        "SELECT IF NOT MISSING(score).",
        f"SORT CASES BY {keys}.",
        f"AGGREGATE OUTFILE=* /BREAK={keys} /value={function}(score) /given=N(score){all_readers}.",
        *(["SELECT IF given = all_readers."] if all_readers else []),
        *_label_rows("score", "criterion", "" if each else "''"),
        _save("step_score"),
        "",
    ]
    return "\n".join(lines)


def _regions(plan: AnalysisPlan, columns: list[str]) -> str:
    estimate = noise_estimate(plan.noise_estimate)
    own = {"difference": "sd_difference", "tissue_sd": "sd"}.get(estimate.kind, "")
    lines = [
        "* Regions: SNR and CNR of every volunteer, arm and tissue.",
        _read("roi_long.csv", columns, ("volunteer", "arm", "tissue")),
        "SORT CASES BY volunteer arm tissue.",
        "SAVE OUTFILE='step_regions.sav'.",
    ]
    if not own:
        lines += [
            f"SELECT IF tissue = {_text(plan.air)}.",
            "SAVE OUTFILE='step_air.sav' /RENAME=(sd=noise) /KEEP=volunteer arm noise.",
            "GET FILE='step_regions.sav'.",
            "MATCH FILES /FILE=* /TABLE='step_air.sav' /BY volunteer arm.",
        ]
    else:
        lines.append(f"COMPUTE noise={own}.")
    known = " ".join(f"OR tissue = {_text(code)}" for code in plan.tissues).removeprefix("OR ")
    lines += [
        "IF (noise <= 0) noise=$SYSMIS.",
        f"SELECT IF {known}.",
        "SORT CASES BY volunteer arm.",
        "SAVE OUTFILE='step_tissues.sav'.",
        f"COMPUTE value=mean / (noise / {estimate.divisor!r}).",
        *_label_rows("SNR", "tissue"),
        _save("step_snr"),
    ]
    if plan.reference_tissue:
        lines += [
            "GET FILE='step_tissues.sav'.",
            f"SELECT IF tissue = {_text(plan.reference_tissue)}.",
            "SAVE OUTFILE='step_reference.sav' /RENAME=(mean=reference_mean) "
            "(noise=reference_noise)\n  /KEEP=volunteer arm reference_mean reference_noise.",
            "GET FILE='step_tissues.sav'.",
            f"SELECT IF tissue <> {_text(plan.reference_tissue)}.",
            "MATCH FILES /FILE=* /TABLE='step_reference.sav' /BY volunteer arm.",
        ]
        if own:
            lines.append("COMPUTE noise=SQRT((noise**2 + reference_noise**2) / 2).")
        lines += [
            f"COMPUTE value=(mean - reference_mean) / (noise / {estimate.divisor!r}).",
            *_label_rows("CNR", "tissue"),
            _save("step_cnr"),
        ]
    return "\n".join([*lines, ""])


def _wide(plan: AnalysisPlan, labels: dict[str, str], made: list[str]) -> str:
    arms = len(plan.arms)
    files = " ".join(f"/FILE='{name}.sav'" for name in made)
    spread = [
        f"IF (arm = {_text(code)}) x{at}=value." for at, code in enumerate(plan.arms, start=1)
    ]
    names = [
        f"VARIABLE LABELS x{at} {_text(labels.get(code, code))}."
        for at, code in enumerate(plan.arms, start=1)
    ]
    largest = " ".join(f"/x{at}=MAX(x{at})" for at in range(1, arms + 1))
    return "\n".join(
        [
            "* One row a volunteer, one column an arm.",
            f"ADD FILES {files}.",
            "SELECT IF NOT MISSING(value).",
            f"NUMERIC {' '.join(f'x{at}' for at in range(1, arms + 1))} (F12.4).",
            *spread,
            f"SORT CASES BY {_KEYS} volunteer.",
            f"AGGREGATE OUTFILE=* /BREAK={_KEYS} volunteer {largest}.",
            *names,
            "SAVE OUTFILE='step_wide.sav'.",
            "* n, mean and SD of every cell.",
            f"SPLIT FILE SEPARATE BY {_KEYS}.",
            f"DESCRIPTIVES /VARIABLES={' '.join(f'x{at}' for at in range(1, arms + 1))}"
            " /STATISTICS=MEAN STDDEV.",
            "SPLIT FILE OFF.",
            "",
        ]
    )


def _pairs(plan: AnalysisPlan) -> str:
    lines = ["* Differences, second arm minus first, rounded: float noise would break ties."]
    unit = 10**plan.decimals
    for number, (a, b) in enumerate(plan.comparisons, start=1):
        first, second = plan.arms.index(a) + 1, plan.arms.index(b) + 1
        lines += [
            "GET FILE='step_wide.sav'.",
            f"COMPUTE comparison={number}.",
            f"COMPUTE d=RND((x{second} - x{first}) * {unit}) / {unit}.",
            "SELECT IF NOT MISSING(d).",
            f"SAVE OUTFILE='step_pair_{number}.sav' /KEEP={_KEYS} comparison volunteer d.",
        ]
    files = " ".join(f"/FILE='step_pair_{n}.sav'" for n in range(1, len(plan.comparisons) + 1))
    return "\n".join([*lines, f"ADD FILES {files}.", ""])


def _ranks(plan: AnalysisPlan) -> str:
    keys = _KEYS.split()
    changed = " OR ".join(f"{key} <> LAG({key})" for key in keys)
    lines = [
        "* Mid-ranks of the absolute differences within each comparison of each table row.",
        f"SORT CASES BY {_KEYS} comparison volunteer.",
        "COMPUTE is_first=0.",
        "IF ($CASENUM = 1) is_first=1.",
        f"IF ($CASENUM > 1 AND ({changed} OR comparison <> LAG(comparison))) is_first=1.",
        "COMPUTE group=is_first.",
        "IF ($CASENUM > 1) group=LAG(group) + is_first.",
        "COMPUTE size=ABS(d).",
    ]
    if plan.zeros == "drop":
        lines.append("IF (d = 0) size=$SYSMIS.")
    lines += [
        "SORT CASES BY group size.",
        "AGGREGATE OUTFILE=* MODE=ADDVARIABLES /BREAK=group size /tied=N.",
        "NUMERIC midrank (F8.1).",
        "COMPUTE #is_new=1.",
        "IF ($CASENUM > 1) #is_new=(group <> LAG(group)).",
        "DO IF (#is_new = 1).",
        "  COMPUTE #below=0.",
        "  COMPUTE #alike=0.",
        "  COMPUTE #size=-1.",
        "END IF.",
        "DO IF (NOT MISSING(size)).",
        "  DO IF (size <> #size).",
        "    COMPUTE #below=#below + #alike.",
        "    COMPUTE #alike=tied.",
        "    COMPUTE #size=size.",
        "  END IF.",
        "  COMPUTE midrank=#below + (tied + 1) / 2.",
        "END IF.",
        "SORT CASES BY group volunteer.",
        "MATCH FILES /FILE=* /BY group /FIRST=starts /LAST=ends.",
        "",
    ]
    return "\n".join(lines)


_COUNTS = ("n", "n_nonzero", "w2_plus", "total2")


def _start(names: Sequence[str]) -> list[str]:
    """Scratch variables (#) keep their value from case to case: they start anew with a group."""
    return [f"  COMPUTE #{name}=0." for name in names]


def _kept() -> list[str]:
    return [f"COMPUTE {name}=#{name}." for name in _COUNTS]


def _exact(pairs: int) -> str:
    places = pairs * (pairs + 1) + 1
    return "\n".join(
        [
            "* Exact two-sided p, conditional on ties: #c(k + 1) is the probability that twice the",
            "* sum of the positive ranks is k, after the cases of the group so far.",
            f"VECTOR #c({places}).",
            "DO IF (starts = 1).",
            *_start(_COUNTS),
            f"  LOOP #k=1 TO {places}.",
            "    COMPUTE #c(#k)=0.",
            "  END LOOP.",
            "  COMPUTE #c(1)=1.",
            "END IF.",
            "COMPUTE #n=#n + 1.",
            "DO IF (d <> 0).",
            "  COMPUTE #t=RND(2 * midrank).",
            "  COMPUTE #n_nonzero=#n_nonzero + 1.",
            "  COMPUTE #total2=#total2 + #t.",
            "  IF (d > 0) #w2_plus=#w2_plus + #t.",
            "  LOOP #k=#total2 + 1 TO #t + 1 BY -1.",
            "    COMPUTE #c(#k)=(#c(#k) + #c(#k - #t)) / 2.",
            "  END LOOP.",
            "  LOOP #k=1 TO #t.",
            "    COMPUTE #c(#k)=#c(#k) / 2.",
            "  END LOOP.",
            "END IF.",
            "DO IF (ends = 1).",
            "  COMPUTE #tail=0.",
            "  COMPUTE #smaller=MIN(#w2_plus, #total2 - #w2_plus).",
            "  LOOP #k=1 TO #smaller + 1.",
            "    COMPUTE #tail=#tail + #c(#k).",
            "  END LOOP.",
            "  COMPUTE p=MIN(1, 2 * #tail).",
            "END IF.",
            *_kept(),
            "SELECT IF (ends = 1).",
            "",
        ]
    )


def _asymptotic(plan: AnalysisPlan) -> str:
    pratt = plan.zeros == "pratt"
    used, zeros = ("#n", "(#n - #n_nonzero)") if pratt else ("#n_nonzero", "0")
    return "\n".join(
        [
            "* Asymptotic two-sided p with correction for ties, without one for continuity.",
            "DO IF (starts = 1).",
            *_start((*_COUNTS, "ties")),
            "END IF.",
            "COMPUTE #n=#n + 1.",
            "DO IF (d <> 0).",
            "  COMPUTE #n_nonzero=#n_nonzero + 1.",
            "  COMPUTE #total2=#total2 + 2 * midrank.",
            "  IF (d > 0) #w2_plus=#w2_plus + 2 * midrank.",
            "  COMPUTE #ties=#ties + tied**2 - 1.",
            "END IF.",
            "DO IF (ends = 1).",
            f"  COMPUTE #m={used}.",
            f"  COMPUTE #z={zeros}.",
            "  COMPUTE #expected=#m * (#m + 1) / 4 - #z * (#z + 1) / 4.",
            "  COMPUTE #variance=(#m * (#m + 1) * (2 * #m + 1) - #z * (#z + 1) * (2 * #z + 1)) / 24"
            " - #ties / 48.",
            "  COMPUTE p=1.",
            "  IF (#n_nonzero > 0) p=2 * CDFNORM(-ABS(#w2_plus / 2 - #expected)"
            " / SQRT(#variance)).",
            "END IF.",
            *_kept(),
            "SELECT IF (ends = 1).",
            "",
        ]
    )


def _adjusted(plan: AnalysisPlan, labels: dict[str, str]) -> str:
    stage = "CONCAT(stage, '|', RTRIM(reader))"
    family = {
        "row": "CONCAT(RTRIM(metric), '|', RTRIM(row), '|', RTRIM(reader))",
        "column": "CONCAT(RTRIM(metric), '|', STRING(comparison, F3.0), '|', RTRIM(reader))",
        "stage": stage,
        "all": "'all'",
    }[plan.family]
    values = " ".join(
        f"{number} {_text(f'{labels.get(a, a)} v {labels.get(b, b)}')}"
        for number, (a, b) in enumerate(plan.comparisons, start=1)
    )
    names = [
        part
        for number, (a, b) in enumerate(plan.comparisons, start=1)
        for part in (
            f"IF (comparison = {number}) a={_text(a)}.",
            f"IF (comparison = {number}) b={_text(b)}.",
        )
    ]
    return "\n".join(
        [
            "* Benjamini and Hochberg over the family of the plan, from the largest p down.",
            "STRING stage (A12).",
            "STRING family (A150).",
            "STRING a b (A60).",
            "COMPUTE stage='quantitative'.",
            "IF (metric = 'score') stage='qualitative'.",
            f"COMPUTE family={family}.",
            *names,
            "SORT CASES BY family.",
            "AGGREGATE OUTFILE=* MODE=ADDVARIABLES /BREAK=family /m=N(p).",
            "SORT CASES BY family (A) p (D).",
            "COMPUTE place=1.",
            "COMPUTE q=p.",
            "DO IF ($CASENUM > 1).",
            "  DO IF (family = LAG(family)).",
            "    COMPUTE place=LAG(place) + 1.",
            "    COMPUTE q=MIN(LAG(q), p * m / (m - place + 1)).",
            "  END IF.",
            "END IF.",
            f"SORT CASES BY {_KEYS} comparison.",
            f"VALUE LABELS comparison {values}.",
            "COMPUTE w_plus=w2_plus / 2.",
            "COMPUTE w_minus=(total2 - w2_plus) / 2.",
            "FORMATS p q (F20.16) n n_nonzero m (F6.0) w_plus w_minus (F10.1).",
            "SAVE OUTFILE='tests_spss.sav'",
            f"  /KEEP={_KEYS} a b comparison n n_nonzero w_plus w_minus p q m.",
            "GET FILE='tests_spss.sav'.",
            "SAVE TRANSLATE /OUTFILE='tests_spss.csv' /TYPE=CSV /FIELDNAMES /REPLACE",
            f"  /KEEP={_KEYS} a b n n_nonzero w_plus w_minus p q m.",
            f"LIST VARIABLES={_KEYS} comparison n n_nonzero p q.",
            "",
        ]
    )
