"""Painted lesions through every network of the engine, for the cards and for the study's checks.

One head and one set of painted lesions; what each method is given is in :mod:`lesion_methods`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.transfer_site.cases import SEED
from benchmarks.transfer_site.lesion_methods import ITSELF, Through, lesion_methods
from benchmarks.transfer_site.report import Report
from denoise_engine.errors import EngineError
from denoise_engine.transfer.heads import SOURCES, Head, HeadSource, load_head, texture_seed
from denoise_engine.transfer.label_maps import tissue_masks
from denoise_engine.transfer.lesions import LesionFigures, lesion_test
from denoise_engine.transfer.models import LoadedTransfer

Mask = NDArray[np.bool_]
Entries = dict[tuple[str, str], dict[str, Any]]

SLICES = 40  # of the head, around the middle of its white matter
EACH = 4  # lesions of every size and contrast
TITLE = "Painted lesions: survive and appear"


def lesion_part(
    report: Report,
    data: Path,
    networks: dict[str, LoadedTransfer],
    *,
    methods: Sequence[str] | None = None,
    kept: Path | None = None,
) -> None:
    """Run every method, or those named, and print the table.

    With ``kept``, the file that studies read is renewed, and the table enters the cards of the
    methods that are no transfer networks; those of the networks are written by the caller.
    """
    head, white = _block(data)
    known = lesion_methods(head, networks)
    check_methods(methods, {one.method: None for one in known})
    wanted = [one for one in known if methods is None or one.method in methods]
    settings = _settings(head.source)
    entries = entries_before(kept, settings, {one.row for one in wanted})
    for one in wanted:
        try:
            found = lesion_test(
                head.volume,
                white,
                head.tissues.white,
                head.spacing,
                one.degrade,
                one.enhance,
                each=EACH,
                seed=SEED,
            )
        except EngineError as error:
            raise SystemExit(f"Lesions through {one.method}: {error}") from error
        entries[one.row] = _entry(one, found)
        print(
            f"lesions through {one.method}, {one.scan}: {found.invented} invented at "
            f"{found.places:,} places",
            flush=True,
        )
        if kept is not None:
            told = settings | {"methods": list(entries.values())}
            kept.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    order = {one.row: k for k, one in enumerate(known)}
    rows = sorted(entries.values(), key=lambda e: order.get((e["method"], e["scan"]), len(order)))
    report.figures["lesions"] = rows
    report.begin(TITLE, networks)
    report.say(*lesion_tables(rows))
    for card in {one.card for one in known if one.card and one.method not in networks}:
        if kept is not None:
            report.write_apart(card, TITLE, "python benchmarks/transfer.py --only lesions --write")


def check_methods(asked: Sequence[str] | None, known: Collection[str]) -> None:
    """Refuse a name that stands for no method: a table without it would be taken for whole.

    Raises
    ------
    SystemExit
    """
    if unknown := [name for name in asked or () if name not in known]:
        raise SystemExit(
            f"No method is called {', '.join(unknown)}. With these networks there are: "
            f"{', '.join(known)}."
        )


def entries_before(
    kept: Path | None, settings: dict[str, Any], wanted: set[tuple[str, str]]
) -> Entries:
    """Return what the file holds of methods that are not measured now.

    Raises
    ------
    SystemExit
        It was measured with other settings, and not all of it is measured anew: lesions of two
        kinds do not stand in one table.
    """
    if kept is None or not kept.exists():
        return {}
    told = json.loads(kept.read_text(encoding="utf-8"))
    before = {(e["method"], e["scan"]): e for e in told["methods"]}
    if {key: told.get(key) for key in settings} == settings:
        return before
    changed = ", ".join(key for key in settings if told.get(key) != settings[key])
    if lost := sorted(before.keys() - wanted):
        raise SystemExit(
            f"“{kept.name}” was measured with other settings ({changed}). What it tells of "
            f"{', '.join(f'{method} ({scan})' for method, scan in lost)} would be lost: measure "
            "all methods and networks anew, by leaving out --methods and --networks."
        )
    print(f"“{kept.name}” was measured with other settings ({changed}): all is measured anew.")
    return {}


def _settings(source: HeadSource) -> dict[str, Any]:
    """What has to be alike for two methods to stand in one table."""
    return {
        "head": Path(source.path).name.removesuffix(".nii.gz"),
        "drawn_by": [str(number) for number in texture_seed(source)],
        "slices": SLICES,
        "each": EACH,
        "seed": SEED,
        "survives": "at least half of the painted contrast is left, and stands out",
        "invented": "half of the faintest painted contrast, darker or brighter, stands out where "
        "it does not in the head; places two thirds of a diameter apart, at most 5,000 of a size",
    }


def _entry(one: Through, found: LesionFigures) -> dict[str, Any]:
    baseline = one.baseline
    return {
        "method": one.method,
        "version": one.version,
        "sha256": one.sha256,
        "scan": one.scan,
        "counts": [asdict(count) for count in found.counts],
        "false_positives": [asdict(count) for count in found.false_positives],
        "baseline": None if baseline is None else {"method": baseline[0], "scan": baseline[1]},
        "invented": found.invented,
        "places": found.places,
    }


def _block(data: Path) -> tuple[Head, Mask]:
    """Return the slices around the middle of the white matter, cut to the head, and that matter."""
    source = next(s for s in SOURCES if s.part == "test" and s.is_label_map)
    head = load_head(data, source)
    assert head.labels is not None
    white = tissue_masks(head.labels)[1]
    middle = int(np.median(np.nonzero(white)[0]))
    first = max(0, min(middle - SLICES // 2, len(white) - SLICES))
    slices = slice(first, first + SLICES)
    inside = (head.labels[slices] > 0).any(axis=0)
    rows, columns = (_span(inside.any(axis=axis)) for axis in (1, 0))
    box = (slices, rows, columns)
    volume = np.ascontiguousarray(head.volume[box])
    block = Head(source, volume, head.spacing, head.affine, head.tissues, head.labels[box])
    return block, white[box]


def _span(used: Mask) -> slice:
    """From a little before the first to a little behind the last, a multiple of 8 long."""
    where = np.nonzero(used)[0]
    first, last = max(0, int(where[0]) - 6), int(where[-1]) + 7
    return slice(first, min(len(used), last + -(last - first) % 8))


def lesion_tables(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return what survived, and what appeared, of every method, as lines of Markdown."""
    sizes = " | ".join(f"{d:g} mm" for d in sorted({c["diameter"] for c in rows[0]["counts"]}))
    return [
        f"{SLICES} slices of the synthesised head (1 mm; its tissues are known). Balls in white "
        f"matter, {EACH} of each size and contrast: how many are left with half of their contrast "
        "or more, and stand out by as much from what surrounds them (the others are false "
        "negatives), and the mean share of the contrast that is "
        f"left. “{ITSELF[0].upper()}{ITSELF[1:]}” is the ceiling: what the rule finds in a perfect "
        "image. Healthy texture and one head: real lesions are harder.",
        "",
        f"| method | scan | {sizes} | −40 % | −20 % | +20 % |",
        "| --- |" + " --- |" * 8,
        *(f"| {row['method']} | {row['scan']} | {_survived(row)} |" for row in rows),
        "",
        "False positives: places in white matter without a lesion that look like one, darker or "
        "brighter by half of the faintest painted contrast or more. Places of a size are two "
        "thirds of a diameter apart, all that fit beside the painted lesions, at most 5,000; "
        f"places at which the head itself looks so are left out ({_left_out(rows[0])}). Against "
        "the baseline: the rate over that of the scan, of SENSE or of interpolation; above 1 the "
        "network makes lesions up that were not in what it was given.",
        "",
        f"| method | scan | {sizes} | darker | brighter | all | baseline | against it |",
        "| --- |" + " --- |" * 10,
        *(f"| {row['method']} | {row['scan']} | {_appeared(row, rows)} |" for row in rows),
    ]


def _left_out(row: dict[str, Any]) -> str:
    return ", ".join(f"{c['left_out']:,} of {c['diameter']:g} mm" for c in row["false_positives"])


def _survived(row: dict[str, Any]) -> str:
    counts: list[dict[str, Any]] = row["counts"]

    def cell(key: str, value: float) -> str:
        of = [c for c in counts if c[key] == value]
        painted, left = sum(c["painted"] for c in of), sum(c["survived"] for c in of)
        return f"{left} of {painted}, {np.mean([c['kept'] for c in of]):.0%}"

    cells = [cell("diameter", d) for d in sorted({c["diameter"] for c in counts})]
    cells += [cell("contrast", k) for k in sorted({c["contrast"] for c in counts})]
    return " | ".join(cells)


def _appeared(row: dict[str, Any], rows: Sequence[dict[str, Any]]) -> str:
    counts: list[dict[str, Any]] = row["false_positives"]
    cells = [_rate(c["darker"] + c["brighter"], c["places"]) for c in counts]
    cells += [f"{sum(c[sign] for c in counts):,}" for sign in ("darker", "brighter")]
    cells.append(_rate(row["invented"], row["places"]))
    beside = [r for r in rows if {k: r[k] for k in ("method", "scan")} == row["baseline"]]
    if not beside:
        return " | ".join([*cells, "", ""])
    before = beside[0]["invented"] / beside[0]["places"]
    times = f"{row['invented'] / row['places'] / before:.2f}" if before else ""
    return " | ".join([*cells, f"{beside[0]['method']}, {before:.1%}", times])


def _rate(invented: int, places: int) -> str:
    return f"{invented:,} of {places:,}, {invented / places:.1%}"
