"""The command line: scores, regions and a plan in; results, tables, figures and R scripts out."""

import argparse
import hashlib
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from analysis.csv_input import read_table
from analysis.example import example_study
from analysis.image_input import read_images
from analysis.input_checks import InputError
from analysis.input_frames import check_regions, check_scores
from analysis.output_files import Inputs, output_files
from analysis.plan import PlanError
from analysis.plan_document import read_plan, write_plan
from analysis.preference_input import check_choices, check_rankings
from analysis.run import run_plan
from analysis.tables import csv_bytes

# What bad input ends with, as argparse ends on a bad option.
BAD_INPUT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the process by default.

    Returns
    -------
    int
        0, or 2 when an input was refused; the reason then stands on the standard error stream and
        nothing was written.

    Examples
    --------
    >>> main(["run", "--plan", "no/such/plan.json", "--scores", "s.csv", "--out", "results"])
    2
    """
    options = _parser().parse_args(arguments)
    try:
        files, said = options.make(options)
    except (InputError, PlanError) as error:
        print(f"analysis: {error}", file=sys.stderr)
        return BAD_INPUT
    try:
        _write(options.out, files)
    except OSError as error:
        print(f"analysis: {options.out} cannot be written: {error.strerror}.", file=sys.stderr)
        return BAD_INPUT
    print("\n".join(said))
    return 0


def _write(folder: Path, files: dict[str, bytes]) -> None:
    """All files or none: they are written beside the folder, which then takes their place."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as beside:
        whole = Path(beside) / "out"
        for name, content in files.items():
            path = whole / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        whole.replace(folder)


def _run(options: argparse.Namespace) -> tuple[dict[str, bytes], list[str]]:
    """The files of a run, and what is said of it."""
    inputs = _read(options)
    _check_folder(options.out)
    results = run_plan(
        inputs.scores,
        inputs.regions,
        inputs.plan,
        choices=inputs.choices,
        rankings=inputs.rankings,
    )
    files = output_files(inputs, results)
    warnings = len(results.warnings)
    noun = "1 warning" if warnings == 1 else f"{warnings} warnings"
    said = [
        f"{len(results.tests) + len(results.choices)} tests, {len(files)} files in {options.out}"
        + (f"; {noun} in tables/warnings.csv" if warnings else "")
    ]
    for name, asked in (
        ("scores", inputs.plan.criteria),
        ("regions", inputs.plan.tissues),
        ("choices", inputs.plan.choice_criteria),
        ("rankings", inputs.plan.ranking_criteria),
    ):
        if asked and getattr(options, name) is None:
            said.append(f"The plan names {', '.join(asked)}, but no --{name} was given.")
    return files, said


def _example(options: argparse.Namespace) -> tuple[dict[str, bytes], list[str]]:
    """The files of the invented study, and how to run them."""
    _check_folder(options.out)
    study = example_study()
    folder = options.out
    arms = study.plan.arms
    base = {"slice": 1, "spacing_mm": [1, 1]}
    figures = [
        {
            "name": "figure2",
            "images": {"STD": "images/STD.npy"},
            "regions": [
                {"tissue": "disc", "centre_mm": [52, 79], "semi_axes_mm": [8, 2]},
                {"tissue": "fat", "centre_mm": [64, 8.5], "semi_axes_mm": [8, 1.5]},
                {"tissue": "muscle", "centre_mm": [98, 80], "semi_axes_mm": [7, 7]},
                {"tissue": "air", "centre_mm": [10, 12], "semi_axes_mm": [7, 7]},
            ],
            **base,
        },
        {"name": "figure5", "images": {arm: f"images/{arm}.npy" for arm in arms}, **base},
    ]
    images = {"format": "readerstudy-figure-images", "version": 1, "figures": figures}
    labels = {"STD": "Standard", "FAST": "Double-fast", "DLR": "DLR-double-fast"}
    labels |= {code: code.capitalize() for code in (*study.plan.criteria, *study.plan.tissues)}
    files = {
        "plan.json": write_plan(study.plan).encode("utf-8"),
        "labels.json": (json.dumps(labels, indent=1) + "\n").encode("utf-8"),
        "images.json": (json.dumps(images, indent=1) + "\n").encode("utf-8"),
    }
    for name in ("scores", "regions", "choices", "rankings", "acquisition"):
        files[f"{name}.csv"] = csv_bytes(getattr(study, name))
    for arm, image in study.images.items():
        stream = io.BytesIO()
        np.save(stream, image.astype(np.float32))
        files[f"images/{arm}.npy"] = stream.getvalue()
    given = " ".join(
        f"--{Path(name).stem} {folder / name}" for name in files if not name.startswith("images/")
    )
    return files, [
        f"An invented study lies in {folder}. Run it:",
        f"python -m analysis run {given} --out {folder}-results",
    ]


def _check_folder(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is there already: give a new or an empty folder.")


def _read(options: argparse.Namespace) -> Inputs:
    tables = ("scores", "regions", "choices", "rankings")
    if all(getattr(options, name) is None for name in tables):
        raise InputError("Give --scores, --regions, --choices or --rankings.")
    hashes: dict[str, str] = {}

    def raw(path: Path, name: str) -> bytes:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InputError(f"{name}: {path} cannot be read ({error.strerror}).") from None
        hashes[name] = hashlib.sha256(content).hexdigest()
        return content

    def text(path: Path, name: str) -> str:
        try:
            return raw(path, name).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise InputError(f"{name}: {path} is not UTF-8.") from None

    def table(path: Path | None, name: str) -> pd.DataFrame | None:
        if path is None:
            return None
        raw(path, name)
        return read_table(path, name)

    plan = read_plan(text(options.plan, "plan"))
    scores, regions = table(options.scores, "scores"), table(options.regions, "regions")
    choices, rankings = table(options.choices, "choices"), table(options.rankings, "rankings")
    labels = _labels(text(options.labels, "labels")) if options.labels else {}
    images = []
    if options.images:

        def seen(path: Path) -> None:
            hashes[f"images/{path.name}"] = hashlib.sha256(path.read_bytes()).hexdigest()

        folder = options.images.parent
        images = read_images(text(options.images, "images"), folder, plan, labels, seen)
    nothing = pd.DataFrame()
    return Inputs(
        scores=check_scores(nothing if scores is None else scores, plan),
        regions=check_regions(nothing if regions is None else regions, plan),
        choices=None if choices is None else check_choices(choices, plan),
        rankings=None if rankings is None else check_rankings(rankings, plan),
        plan=plan,
        labels=labels,
        acquisition=table(options.acquisition, "acquisition"),
        images=tuple(images),
        hashes=hashes,
    )


def _labels(text: str) -> dict[str, str]:
    try:
        given = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"labels, line {error.lineno}, column {error.colno}: no JSON here ({error.msg})."
        ) from None
    if not isinstance(given, dict) or not all(isinstance(name, str) for name in given.values()):
        raise InputError('labels: one object of code and name is needed ({"DF": "Double-fast"}).')
    return given


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m analysis", description="The statistics of a reader study."
    )
    commands = parser.add_subparsers(required=True)
    example = commands.add_parser(
        "example",
        help="write the files of an invented study, to see what a run needs",
        description="Write the files of an invented study and the command that runs it.",
    )
    example.add_argument("--out", type=Path, required=True, help="a new or empty folder")
    example.set_defaults(make=_example)
    run = commands.add_parser(
        "run",
        help="run an analysis plan",
        description="Run an analysis plan. Rows of a table are counted from the first below its "
        "header; an empty field is a missing value.",
    )
    run.add_argument(
        "--scores",
        type=Path,
        help="CSV: volunteer, arm, reader, criterion, score; occasion (1, 2 ...) for repeats",
    )
    run.add_argument(
        "--regions",
        type=Path,
        help="CSV: volunteer, arm, tissue, mean, sd, n_pixels, area_mm2; where known n_zero, "
        "n_at_limits, and sd_difference (SD of the difference of two acquisitions)",
    )
    run.add_argument(
        "--choices",
        type=Path,
        help="CSV of forced choices: volunteer, reader, criterion, first, second, chosen",
    )
    run.add_argument(
        "--rankings",
        type=Path,
        help="CSV of rankings: volunteer, reader, criterion, arm, rank (1 is best)",
    )
    run.add_argument("--plan", type=Path, required=True, help="JSON: analysis/plan.schema.json")
    run.add_argument("--out", type=Path, required=True, help="a new or empty folder")
    run.add_argument("--acquisition", type=Path, help="CSV: parameter, arm, value (for Table 1)")
    run.add_argument(
        "--images",
        type=Path,
        help="JSON: analysis/images.schema.json; slices for figures of regions and of arms",
    )
    run.set_defaults(make=_run)
    run.add_argument("--labels", type=Path, help="JSON: names for codes, in tables and figures")
    return parser
