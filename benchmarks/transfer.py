"""Image quality transfer beside interpolation, on heads kept out of training.

    python benchmarks/transfer.py [--data FOLDER] [--only PART …] [--head NAME …] [--json FILE]
                                  [--weights FOLDER] [--write]

Both test heads are degraded by the forward model, at factors 4 and 8, by thick slices alone and as
at low field, and brought back by cubic interpolation and the networks. The head of 0.67 mm is one
real person (N = 1); the other is synthesised from a label map: its tissues are known. Parts:

    quality   PSNR, SSIM, RMSE, tissue volumes with their signed bias, Dice; paired by slices
    warnings  calibration of the warning maps, and what flagging a tenth of the brain finds
    seams     jumps at the borders of patches against overlap, and what overlap costs
    lesions   painted lesions that survive, and lesions that were invented

Each mark is printed with what was found; the exit status is 1 if one is missed. ``--write`` enters
tables and plots into the cards of the networks; ``--weights`` measures a folder of weights that a
training wrote, before they are shipped.
"""

import argparse
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.transfer_site.cases import CUBIC, Case, Enhanced, cases_of, enhanced_by  # noqa: E402
from benchmarks.transfer_site.parts import (  # noqa: E402
    lesion_tables,
    seam_table,
    warning_tables,
)
from denoise_engine.transfer.evaluation import Quality, judge  # noqa: E402
from denoise_engine.transfer.models import LoadedTransfer, load_transfer_file  # noqa: E402

SHARED = ROOT.parent / "shared" / "data"
PARTS = ("quality", "warnings", "seams", "lesions")
# Of the sources, on their own data, low field to 3 T: no mark can be taken over as it stands.
PUBLISHED = (
    "the sources tell 27.8 to 30.8 dB and SSIM 0.62 to 0.74, of scans of both fields, with other "
    "masks and peaks; without air and with this peak figures are lower, and not comparable"
)


@dataclass
class Report:
    """Printed as it goes, and kept for the cards."""

    lines: list[str] = field(default_factory=list)
    marks: list[tuple[str, str, bool]] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def say(self, *lines: str) -> None:
        self.lines += lines
        print("\n".join(lines), flush=True)

    def mark(self, what: str, found: str, reached: bool) -> None:
        self.marks.append((what, found, reached))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=SHARED)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--head", nargs="+", help="part of the names of the test heads")
    parser.add_argument("--scans", nargs="+", choices=["thick", "low"], default=["thick", "low"])
    parser.add_argument("--factors", nargs="+", type=int, choices=[4, 8], default=[4, 8])
    parser.add_argument("--samples", type=int, default=8, help="of the parameter uncertainty")
    parser.add_argument("--weights", type=Path, help="folder with transfer.json and weights")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--write", action="store_true", help="into the cards of the networks")
    given = parser.parse_args(arguments)
    if not (given.data / "anatomy").is_dir():
        print(f"“{given.data}” holds no heads (--data names the folder). Nothing was measured.")
        return 0
    networks = _networks(given.weights)
    if not networks:
        print("No transfer network is shipped: there is nothing to measure.")
        return 2
    report = Report()
    wanted = set(given.only) & {"quality", "warnings", "lesions"}
    for name in given.head or ["forrest", "labelmap-12"]:
        if not wanted:
            break
        for case in cases_of(given.data, name, given.scans, given.factors):
            made = enhanced_by(case, networks, samples=given.samples if "warnings" in wanted else 0)
            if "quality" in wanted:
                quality_table(report, case, made)
            if "warnings" in wanted and case.scan == "thick":
                warning_tables(report, case, made)
            if "lesions" in wanted and case.scan == "thick":
                lesion_tables(report, case, networks)
    if "seams" in given.only:
        seam_table(report, given.data, networks)
    report.say("", "| mark | found | |", "| --- | --- | --- |")
    report.say(
        *(f"| {w} | {f} | {'passed' if reached else 'MISSED'} |" for w, f, reached in report.marks)
    )
    if given.json:
        given.json.write_text(json.dumps(report.figures, indent=2), encoding="utf-8")
    if given.write:
        for network in networks.values():
            write_into_card(network.file.path.with_suffix(".md"), report.lines)
    return 0 if all(reached for *_, reached in report.marks) else 1


def quality_table(report: Report, case: Case, made: dict[str, Enhanced]) -> None:
    """One scan: every method against the head itself."""
    found = {name: judge(one.volume, case.reference) for name, one in made.items()}
    report.say(
        "",
        f"### {case.title}",
        "",
        f"{case.described} In the brain; peak: its 99.9th percentile; RMSE in % of the mean of "
        f"grey and white matter; {PUBLISHED}.",
        "",
        "| method | PSNR, dB | SSIM, slices | SSIM, 3-D | RMSE, % | GM, mm³ | WM, mm³ | CSF, mm³ | "
        "bias GM / WM / CSF, % | Dice GM / WM / CSF |",
        "| --- |" + " --- |" * 9,
        *(f"| {name} | {_row(quality)} |" for name, quality in found.items()),
    )
    report.say("", *_pairs(case, found))
    report.figures[case.key] = {
        name: {
            "psnr": q.psnr,
            "ssim": q.ssim,
            "ssim_3d": q.ssim_3d,
            "rmse": q.rmse,
            "volumes": q.volumes,
            "bias": q.bias,
            "dice": q.dice,
        }
        for name, q in found.items()
    }
    cubic = found[CUBIC]
    for name, quality in found.items():
        if name == CUBIC:
            continue
        better = {
            "PSNR": quality.psnr - cubic.psnr,
            "SSIM": quality.ssim - cubic.ssim,
            "RMSE": cubic.rmse - quality.rmse,
            "Dice": _mean(quality.dice) - _mean(cubic.dice),
        }
        report.mark(
            f"{name} above cubic, {case.title}",
            ", ".join(f"{what} {gain:+.3f}" for what, gain in better.items()),
            min(better.values()) > 0,
        )


def _row(q: Quality) -> str:
    def three(values: dict[str, float], form: str) -> str:
        return " / ".join(form.format(v) for v in values.values())

    volumes = " | ".join(f"{v:,.0f}" for v in q.volumes.values())
    return (
        f"{q.psnr:.2f} | {q.ssim:.3f} | {q.ssim_3d:.3f} | {q.rmse:.2f} | {volumes} | "
        f"{three(q.bias, '{:+.1f}')} | {three(q.dice, '{:.3f}')}"
    )


def _pairs(case: Case, found: dict[str, Quality]) -> list[str]:
    """Paired by slices 8 mm apart; of one person, so what they tell is that person's brain."""
    from analysis import hodges_lehmann

    step = max(1, round(8 / case.reference.head.spacing[0]))
    cubic = found[CUBIC]
    lines = [
        f"Paired by slices {step * case.reference.head.spacing[0]:.1f} mm apart, network less "
        "cubic (Hodges-Lehmann shift, 95 % interval). Slices of one head: nothing follows for "
        "other people.",
        "",
        "| network | slices | PSNR, dB | SSIM |",
        "| --- | --- | --- | --- |",
    ]
    for name, quality in found.items():
        if name == CUBIC:
            continue
        shifts = [
            hodges_lehmann(before[::step], after[::step])
            for before, after in (
                (cubic.psnr_of_slices, quality.psnr_of_slices),
                (cubic.ssim_of_slices, quality.ssim_of_slices),
            )
        ]
        cells = []
        for shift in shifts:
            between = (
                f" ({shift.interval.low:+.3f} to {shift.interval.high:+.3f})"
                if shift.interval
                else ""
            )
            cells.append(f"{shift.value:+.3f}{between}")
        lines.append(f"| {name} | {shifts[0].n} | {cells[0]} | {cells[1]} |")
    return lines


def _mean(values: dict[str, float]) -> float:
    return sum(values.values()) / len(values)


def _networks(folder: Path | None) -> dict[str, LoadedTransfer]:
    from denoise_engine.models import TRANSFER_MANIFEST, available_models

    manifest = TRANSFER_MANIFEST if folder is None else folder / "transfer.json"
    return {name: load_transfer_file(file) for name, file in available_models(manifest).items()}


def write_into_card(card: Path, lines: list[str]) -> None:
    """Replace what stands between the marks of the measured part."""
    from denoise_engine.training.card import MEASURED_END, MEASURED_START

    text = card.read_text(encoding="utf-8")
    before, rest = text.split(MEASURED_START, 1)
    after = rest.split(MEASURED_END, 1)[1]
    measured = "\n".join(["## Measured on heads kept out of training", "", *lines])
    card.write_text(
        f"{before}{MEASURED_START}\n{measured}\n{MEASURED_END}{after}", encoding="utf-8"
    )


if __name__ == "__main__":
    sys.exit(main())
