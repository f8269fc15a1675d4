"""Image quality transfer beside what it begins with, on heads kept out of training.

    python benchmarks/transfer.py [--data FOLDER] [--only PART …] [--head NAME …] [--json FILE]
                                  [--weights FOLDER] [--write]

Both test heads are degraded by the forward model: thick slices at factors 4 and 8, alone and as at
low field, and thin slices as a scan at 3 T would show what is taken for 7 T. Cubic interpolation
(or the scan itself) and the networks bring them back. The head of 0.67 mm is one real person
(N = 1); the other is synthesised from a label map: its tissues are known. Parts:

    quality    PSNR, SSIM, RMSE, tissue volumes with their signed bias, Dice, sharpness; paired
    warnings   calibration of the warning maps, and what flagging a tenth of the brain finds
    lesions    painted lesions that survive, and that appear, for every network of the engine
    seams      jumps at the borders of patches, blended and not, and what overlap costs
    resources  seconds and memory of a whole volume on two cores

Each mark is printed with what was found; the exit status is 1 if one is missed. ``--write`` enters
what was measured into the cards of the networks (what was not stays as it is) and, of lesions, into
the cards of all methods and into ``lesions.json`` beside them; ``--weights`` measures a folder of
weights that a training wrote, before they are shipped.
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.transfer_site.cases import cases_of, enhanced_by, networks_for  # noqa: E402
from benchmarks.transfer_site.lesions import lesion_part  # noqa: E402
from benchmarks.transfer_site.parts import (  # noqa: E402
    quality_table,
    warning_tables,
)
from benchmarks.transfer_site.report import Report  # noqa: E402
from benchmarks.transfer_site.resources import resource_table  # noqa: E402
from benchmarks.transfer_site.seams import seam_table  # noqa: E402
from denoise_engine.models import TRANSFER_MANIFEST, available_models  # noqa: E402
from denoise_engine.transfer.heads import SOURCES  # noqa: E402
from denoise_engine.transfer.lesion_record import LESIONS  # noqa: E402
from denoise_engine.transfer.models import load_transfer_file  # noqa: E402

SHARED = ROOT.parent / "shared" / "data"
PARTS = ("quality", "warnings", "lesions", "seams", "resources")
SCANS = ("thick", "low", "field")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=SHARED)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--head", nargs="+", help="part of the names of the test heads")
    parser.add_argument("--scans", nargs="+", choices=SCANS, default=list(SCANS))
    parser.add_argument("--factors", nargs="+", type=int, choices=[4, 8], default=[4, 8])
    parser.add_argument(
        "--slices",
        type=int,
        help="of each head, around the middle of the brain, a multiple of 8; all by default",
    )
    parser.add_argument("--networks", nargs="+", help="names; all by default")
    parser.add_argument("--methods", nargs="+", help="whose lesions are counted; all by default")
    parser.add_argument("--samples", type=int, default=4, help="of the parameter uncertainty")
    parser.add_argument("--weights", type=Path, help="folder with transfer.json and weights")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--write", action="store_true", help="into the cards of the networks")
    given = parser.parse_args(arguments)
    if not (given.data / "anatomy").is_dir():
        print(f"“{given.data}” holds no heads (--data names the folder). Nothing was measured.")
        return 0
    if given.slices is not None and (given.slices % 8 or given.slices < 32):
        parser.error("--slices must be a multiple of 8, at least 32")
    if given.samples < 0 or given.samples == 1:
        parser.error("--samples must be 0 or at least 2")
    manifest = TRANSFER_MANIFEST if given.weights is None else given.weights / "transfer.json"
    files = available_models(manifest)
    heads = [source.path for source in SOURCES if source.part == "test"]
    for name in given.head or ():
        if not any(name in head for head in heads):
            parser.error(f"no test head is called “{name}”: {', '.join(heads)}")
    for name in given.networks or ():
        if name not in files:
            parser.error(f"there is no network “{name}”: {', '.join(files)}")
    networks = {
        name: load_transfer_file(file)
        for name, file in files.items()
        if given.networks is None or name in given.networks
    }
    if not networks:
        print("No such transfer network is shipped: there is nothing to measure.")
        return 2
    report = Report()
    plots = {name: one.file.path for name, one in networks.items()} if given.write else {}
    by_case = set(given.only) & {"quality", "warnings"}
    for name in (given.head or ["forrest", "labelmap-12"]) if by_case else []:
        for case in cases_of(given.data, name, given.scans, given.factors, given.slices):
            # How sure a network is of a low field's scan is not asked: its blur and contrast
            # were drawn, and the marks are set for thick slices.
            warned = "warnings" in by_case and case.scan != "low"
            if not networks_for(case, networks) or not (warned or "quality" in by_case):
                continue
            made = enhanced_by(case, networks, samples=given.samples if warned else 0)
            if "quality" in by_case:
                quality_table(report, case, made)
            if warned:
                warning_tables(report, case, made, plots)
    if "lesions" in given.only:
        lesion_part(
            report,
            given.data,
            networks,
            methods=given.methods,
            # What is not shipped yet has no place beside what is.
            kept=LESIONS if given.write and given.weights is None else None,
        )
    if "seams" in given.only:
        seam_table(report, given.data, networks)
    if "resources" in given.only:
        resource_table(report, given.data, manifest, networks)
    report.print_marks()
    if given.json:
        given.json.write_text(json.dumps(report.figures, indent=2), encoding="utf-8")
    if given.write:
        for name, network in networks.items():
            report.write_into(network.file.path.with_suffix(".md"), name)
    return 0 if all(mark.reached for mark in report.marks) else 1


if __name__ == "__main__":
    sys.exit(main())
