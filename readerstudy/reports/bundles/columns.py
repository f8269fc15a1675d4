"""What the columns of every table of the bundle mean that has no labels for SPSS and Stata.

`dictionary.py` holds those with labels. A column that stands in a table and has no meaning here
fails the tests.
"""

from __future__ import annotations

from collections.abc import Iterator

from readerstudy.reports.report import Report

from .csv_frames import Frames
from .dictionary import Variable

TEXT, NUMBER, WHOLE, FLAG = "text", "number", "whole number", "true or false"
Meaning = tuple[str, str, str]  # label, kind, unit

_LEVEL = "95 % interval unless `level` says otherwise"
_COMMON: dict[str, Meaning] = {
    "volunteer": ("Volunteer (study code)", TEXT, ""),
    "site": ("Site (code)", TEXT, ""),
    "site_name": ("Site", TEXT, ""),
    "arm": ("Arm (code; before unblinding its letter)", TEXT, ""),
    "arm_name": ("Arm by its name", TEXT, ""),
    "letter": ("Letter that stood for the arm before unblinding", TEXT, ""),
    "notice": ("What must be said with every number of this study", TEXT, ""),
    "reader": ("Reader (code); empty: over the readers", TEXT, ""),
    "criterion": ("Criterion (code)", TEXT, ""),
    "tissue": ("Region (code)", TEXT, ""),
    "metric": ("score, SNR, CNR or a contrast", TEXT, ""),
    "row": ("Row of the table: criterion or region (code)", TEXT, ""),
    "a": ("First arm of the comparison", TEXT, ""),
    "b": ("Second arm; differences and effects are b minus a", TEXT, ""),
    "first": ("First arm of the pair", TEXT, ""),
    "second": ("Second arm of the pair", TEXT, ""),
    "chosen": ("Arm that the reader chose; empty: cannot assess", TEXT, ""),
    "rank": ("Rank, 1 is best; of a p value: its rank in the family", NUMBER, ""),
    "n": ("Volunteers (of a comparison: pairs of values) that count", WHOLE, ""),
    "n_missing": ("Volunteers left out because a value is missing", WHOLE, ""),
    "n_nonzero": ("Pairs that are not ties", WHOLE, ""),
    "w_plus": ("Wilcoxon: sum of ranks of positive differences", NUMBER, ""),
    "w_minus": ("Wilcoxon: sum of ranks of negative differences", NUMBER, ""),
    "p": ("p value, two-sided", NUMBER, ""),
    "q": ("q value: p after Benjamini and Hochberg within the family", NUMBER, ""),
    "alpha": ("Level at or below which q is significant", NUMBER, ""),
    "family": ("What the q value is corrected over", TEXT, ""),
    "m": ("p values in the family", WHOLE, ""),
    "method": ("How the value or its interval was computed", TEXT, ""),
    "zeros": ("What is done with differences of zero", TEXT, ""),
    "mean_difference": ("Mean of the differences b minus a", NUMBER, ""),
    "median_difference": ("Median of the differences b minus a", NUMBER, ""),
    "hodges_lehmann": ("Hodges–Lehmann shift, b minus a", NUMBER, ""),
    "rank_biserial": ("Matched-pairs rank-biserial correlation", NUMBER, ""),
    "wins": ("Pairs in which b is higher", WHOLE, ""),
    "ties": ("Pairs without a difference", WHOLE, ""),
    "losses": ("Pairs in which b is lower", WHOLE, ""),
    "significant": ("q at or below alpha", FLAG, ""),
    "mean": ("Mean", NUMBER, ""),
    "sd": ("Standard deviation (n − 1)", NUMBER, ""),
    "median": ("Median", NUMBER, ""),
    "q1": ("First quartile", NUMBER, ""),
    "q3": ("Third quartile", NUMBER, ""),
    "min": ("Smallest value", NUMBER, ""),
    "max": ("Largest value", NUMBER, ""),
    "share_at_least_3": ("Share of the scores of 3 or more", NUMBER, ""),
    "value": ("The value", NUMBER, ""),
    "low": (f"Lower limit of the interval ({_LEVEL})", NUMBER, ""),
    "high": (f"Upper limit of the interval ({_LEVEL})", NUMBER, ""),
    "level": ("Level of the interval that was reached; empty: no interval", NUMBER, ""),
    "noise_estimate": ("Noise estimate", TEXT, ""),
    "statistic": ("Name of the statistic", TEXT, ""),
    "readers": ("Readers that count", WHOLE, ""),
    "volunteers": ("Volunteers that count", WHOLE, ""),
    "score": ("Score", NUMBER, "points"),
    "comparison": ("The comparison that it concerns; empty: none", TEXT, ""),
    "text": ("What must be known", TEXT, ""),
    "margin": ("Margin of the plan", NUMBER, "points"),
    "difference": ("Mean of the differences b minus a", NUMBER, "points"),
    "non_inferior": ("Whether the lower limit lies above minus the margin", FLAG, ""),
    "reverse_non_inferior": ("The same the other way round, a against b", FLAG, ""),
    "analysis": ("Analysis beside the planned test", TEXT, ""),
    "gain": ("Median over the volunteers of the ratio b over a", NUMBER, ""),
    "lowest": ("Smallest of a volunteer", NUMBER, ""),
    "highest": ("Largest of a volunteer", NUMBER, ""),
    "occasion": ("Occasion of the reading, from 1", WHOLE, ""),
    "purpose": ("primary, repeat (hidden) or practice", TEXT, ""),
    "position": ("Place of the item in the reader's order, from 1", WHOLE, ""),
    "revision": ("How often the answer was given; 1 is the first", WHOLE, ""),
    "cannot_assess": ("Why the reader could not assess; empty: assessed", TEXT, ""),
}
# Forced choices and ranks.
_PREFERENCES: dict[str, Meaning] = {
    "n_split": ("Volunteers whose readers chose both arms equally often", WHOLE, ""),
    "chosen_a": ("Volunteers of whom a was chosen", WHOLE, ""),
    "chosen_b": ("Volunteers of whom b was chosen", WHOLE, ""),
    "share_b": ("Share of b among those chosen", NUMBER, ""),
    "reference": ("Arm that the odds are against (code)", TEXT, ""),
    "log_odds": ("Bradley–Terry: logarithm of the odds of being preferred", NUMBER, ""),
    "odds": ("Bradley–Terry: odds of being preferred to the reference", NUMBER, ""),
    "chi_square": ("Test of all arms equal: chi square", NUMBER, ""),
    "freedom": ("Its degrees of freedom", WHOLE, ""),
    "p_all_equal": ("Its p value", NUMBER, ""),
}
_OF_TABLE: dict[str, dict[str, Meaning]] = {
    "arms": {
        "code": ("Arm (code)", TEXT, ""),
        "name": ("Arm by its name", TEXT, ""),
        "kind": ("acquired, or derived by the platform", TEXT, ""),
        "is_control": ("Whether the arm is the control", FLAG, ""),
    },
    "exclusions": {
        "kind": ("volunteer or reader", TEXT, ""),
        "code": ("Who is left out (code)", TEXT, ""),
        "reason": ("Why", TEXT, ""),
        "decided_at": ("When that was decided", TEXT, "ISO 8601, UTC"),
        "post_hoc": ("Decided when the arms were known", FLAG, ""),
    },
    "summaries_long": {
        "score": ("The readers' summary, as the plan says", NUMBER, "points"),
        "readers": ("Readers whose scores are in the summary", WHOLE, ""),
    },
    "shares": {
        "value": ("Share of the scores of 3 or more", NUMBER, ""),
        "n": ("Scores that count", WHOLE, ""),
    },
    "agreement": {"n": ("Items (volunteer and arm) that count", WHOLE, "")},
    "comments": {
        "comment": ("What the reader wrote", TEXT, ""),
        "arrows": ("Arrows on the item: see arrows.csv", WHOLE, ""),
    },
    "arrows": {
        "arrow": ("Number of the arrow on its item, from 1", WHOLE, ""),
        "image": ("Image that it points into: control, candidate, or image", TEXT, ""),
        "image_position": ("Place of that image on the screen, 1 is the leftmost", WHOLE, ""),
        "image_arm": ("Arm of that image (code)", TEXT, ""),
        "image_arm_name": ("Arm of that image by its name", TEXT, ""),
        "image_arm_letter": ("Letter that stood for it before unblinding", TEXT, ""),
        "slice": ("Slice, as the reader saw it numbered: from 1", WHOLE, ""),
        **{
            f"{end}_{axis}_mm": (f"{where} of the arrow, patient {axis} (LPS)", NUMBER, "mm")
            for end, where in (("tail", "Tail"), ("head", "Point"))
            for axis in "xyz"
        },
    },
    "visits": {
        "opened_at": ("When the item was first opened", TEXT, "ISO 8601, UTC"),
        "submitted_at": ("When it was submitted; empty: not", TEXT, "ISO 8601, UTC"),
        "active_s": ("Time at the item without interruptions", NUMBER, "s"),
        "interrupted_s": ("Time away from it", NUMBER, "s"),
        "interruptions": ("How often it was left", WHOLE, ""),
        "images_s": ("Time until all images stood there", NUMBER, "s"),
        "slices_seen": ("Different slices seen, in the image where fewest were", WHOLE, ""),
        "slice_changes": ("How often the slice changed", WHOLE, ""),
        "window_center": ("Centre of the window that stood longest", NUMBER, "signal"),
        "window_width": ("Width of the window that stood longest", NUMBER, "signal"),
        "zoom_least": ("Smallest zoom", NUMBER, ""),
        "zoom_most": ("Largest zoom", NUMBER, ""),
        "used": ("Tools that were used", TEXT, ""),
        "viewport": ("Size of the page, width x height", TEXT, "CSS pixels"),
        "screen": ("Size of the screen, width x height", TEXT, "CSS pixels"),
        "device_pixel_ratio": ("Screen pixels a CSS pixel", NUMBER, ""),
        "colour_depth": ("Bits a pixel that the browser tells", WHOLE, "bit"),
    },
    "displays": {
        "checked_at": ("When the display was checked", TEXT, "ISO 8601, UTC"),
        "result": ("Result of the check", TEXT, ""),
        "dark_seen": ("Dark patches of the contrast pattern that were seen", WHOLE, ""),
        "dark_shown": ("Dark patches that were shown", WHOLE, ""),
        "light_seen": ("Light patches that were seen", WHOLE, ""),
        "light_shown": ("Light patches that were shown", WHOLE, ""),
        "ramp": ("What was said of the grey ramp", TEXT, ""),
        "viewport": ("Size of the page, width x height", TEXT, "CSS pixels"),
        "screen": ("Size of the screen, width x height", TEXT, "CSS pixels"),
        "device_pixel_ratio": ("Screen pixels a CSS pixel", NUMBER, ""),
        "colour_depth": ("Bits a pixel that the browser tells", WHOLE, "bit"),
        "browser_zoom": ("Zoom of the browser", NUMBER, ""),
    },
}
_OF_CELLS = {"n": "Volunteers", "mean": "Mean", "sd": "SD (n − 1)"}
_OF_PAIRS = {"n": "Pairs", "p": "p value", "q": "q value"}


def other_columns(report: Report, described: list[Variable], frames: Frames) -> list[Variable]:
    """A row for each column of each table that `described` lacks."""
    known = {(variable.table, variable.name) for variable in described}
    found = []
    for name, frame in frames.items():
        table = name.removesuffix(".csv")
        meanings = (
            _COMMON | _PREFERENCES | _OF_TABLE.get(table, {}) | dict(_wide_columns(report, table))
        )
        for column in map(str, frame().columns):
            if (table, column) not in known:
                found.append(Variable(table, column, *_meaning(meanings, column)))
    return found


def _meaning(meanings: dict[str, Meaning], column: str) -> Meaning:
    if column in meanings:
        return meanings[column]
    stem, _, kind = column.rpartition("_")
    if kind in {"low", "high"} and stem in meanings:
        side = "Lower" if kind == "low" else "Upper"
        return f"{side} limit of the 95 % interval of {stem}", NUMBER, meanings[stem][2]
    if kind in {"name", "letter"} and stem in meanings:
        what = "by its name" if kind == "name" else "by the letter that stood for it"
        return f"{meanings[stem][0].split(';')[0]}, {what}", TEXT, ""
    return "", TEXT, ""


def _wide_columns(report: Report, table: str) -> Iterator[tuple[str, Meaning]]:
    """The columns of Tables 2 and 3, an arm and a comparison each."""
    if table not in {"table2", "table3"}:
        return
    names = report.arm_names
    for arm in report.plan.arms:
        for kind, label in _OF_CELLS.items():
            yield f"{arm}_{kind}", (f"{label}: {names.get(arm, arm)}", NUMBER, "")
    for a, b in report.plan.comparisons:
        said = f"{names.get(a, a)} v {names.get(b, b)}"
        for kind, label in _OF_PAIRS.items():
            yield f"{a}_v_{b}_{kind}", (f"{label}: {said}", NUMBER, "")
