"""The command line: scores, regions and a plan in; results, tables, figures and R scripts out."""

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pandas as pd

from analysis.csv_input import read_table
from analysis.figure_style import ImageFormat
from analysis.figures import figure_3, figure_4
from analysis.input_checks import InputError
from analysis.input_frames import check_regions, check_scores
from analysis.plan import AnalysisPlan, PlanError
from analysis.plan_document import read_plan, write_plan
from analysis.publication import publication_tables
from analysis.r_scripts import imrmc_layout, mixed_model_script, recompute_script
from analysis.results_document import write_results
from analysis.run import Results, run_plan
from analysis.score_figures import figure_bland_altman, figure_differences, figure_scores
from analysis.table_formats import docx_table, html_table, latex_table
from analysis.tables import comparison_label, csv_bytes, result_tables

# What bad input ends with, as argparse ends on a bad option.
BAD_INPUT = 2


@dataclass(frozen=True)
class _Inputs:
    """What was read: checked tables, the plan, and the names to print."""

    scores: pd.DataFrame
    regions: pd.DataFrame
    plan: AnalysisPlan
    labels: Mapping[str, str]
    acquisition: pd.DataFrame | None
    hashes: dict[str, str]


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
        inputs = _read(options)
        if options.out.exists() and (not options.out.is_dir() or any(options.out.iterdir())):
            raise InputError(f"{options.out} is there already: give a new or an empty folder.")
        results = run_plan(inputs.scores, inputs.regions, inputs.plan)
        files = output_files(inputs, results)
    except (InputError, PlanError) as error:
        print(f"analysis: {error}", file=sys.stderr)
        return BAD_INPUT
    for name, content in files.items():
        path = options.out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    warnings = len(results.warnings)
    print(
        f"{len(results.tests)} tests, {len(files)} files in {options.out}"
        + (f"; {warnings} warnings in tables/warnings.csv" if warnings else "")
    )
    return 0


def output_files(inputs: _Inputs, results: Results) -> dict[str, bytes]:
    """Every file of the output folder, by its path in it; the same bytes for the same input."""
    plan, labels = inputs.plan, inputs.labels
    files = {
        "results.json": write_results(results, inputs.hashes).encode("utf-8"),
        "plan.json": write_plan(plan).encode("utf-8"),
        "r/ratings_long.csv": csv_bytes(inputs.scores),
        "r/roi_long.csv": csv_bytes(inputs.regions),
        "r/recompute_tables.R": recompute_script(plan).encode("utf-8"),
    }
    if not inputs.scores.empty:
        files["r/mixed_models.R"] = mixed_model_script(plan).encode("utf-8")
        for number, criterion in enumerate(plan.criteria, start=1):
            text = imrmc_layout(inputs.scores, plan, criterion)
            files[f"r/imrmc_{number}.csv"] = text.encode("utf-8")
    for name, frame in result_tables(results).items():
        files[f"tables/{name}"] = csv_bytes(frame)
    for table in publication_tables(results, labels, inputs.acquisition):
        files[f"tables/{table.name}.csv"] = csv_bytes(table.cells)
        files[f"tables/{table.name}.html"] = html_table(table).encode("utf-8")
        files[f"tables/{table.name}.tex"] = latex_table(table).encode("utf-8")
        files[f"tables/{table.name}.docx"] = docx_table(table)
    for name, draw in _figures(inputs, results).items():
        for image_format in get_args(ImageFormat):
            files[f"figures/{name}.{image_format}"] = draw(image_format)
    return files


def _figures(inputs: _Inputs, results: Results) -> dict[str, Callable[[ImageFormat], bytes]]:
    """The figures that these results allow, by name."""
    labels, plan = inputs.labels, inputs.plan
    found: dict[str, Callable[[ImageFormat], bytes]] = {}
    metrics = set(results.tests["metric"])
    pooled = plan.reader_summary != "each"
    if metrics & {"SNR", "CNR"}:
        found["figure3"] = lambda kind: figure_3(results, labels, image_format=kind)
        pairs = _snr_pairs(results, labels)
        note = "One point a volunteer: the mean SNR over the tissues."
        if pairs:
            found["bland_altman"] = lambda kind: figure_bland_altman(
                pairs, "SNR", image_format=kind, note=note
            )
    if "score" in metrics and pooled:
        found["figure4"] = lambda kind: figure_4(results, labels, image_format=kind)
    if "score" in metrics and inputs.scores["score"].notna().any():
        found["scores"] = lambda kind: figure_scores(inputs.scores, plan, labels, image_format=kind)
    if metrics and (pooled or "score" not in metrics) and results.tests["p"].notna().any():
        found["differences"] = lambda kind: figure_differences(results, labels, image_format=kind)
    return found


def _snr_pairs(
    results: Results, labels: Mapping[str, str]
) -> dict[str, tuple[pd.Series, pd.Series]]:
    snr = results.derived[results.derived["metric"] == "SNR"]
    # A volunteer counts where every tissue has a value, so that all points mean the same.
    table = snr.pivot(index="volunteer", columns=["arm", "tissue"], values="value")
    means = {
        arm: table[arm].mean(axis=1, skipna=False)
        for arm in results.plan.arms
        if arm in table.columns.get_level_values("arm")
    }
    return {
        comparison_label((a, b), labels): (means[a], means[b])
        for a, b in results.plan.comparisons
        if a in means and b in means and (means[a] + means[b]).notna().sum() >= 2
    }


def _read(options: argparse.Namespace) -> _Inputs:
    if options.scores is None and options.regions is None:
        raise InputError("Give --scores, --regions or both.")
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
    nothing = pd.DataFrame()
    return _Inputs(
        scores=check_scores(nothing if scores is None else scores, plan),
        regions=check_regions(nothing if regions is None else regions, plan),
        plan=plan,
        labels=_labels(text(options.labels, "labels")) if options.labels else {},
        acquisition=table(options.acquisition, "acquisition"),
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
    run = parser.add_subparsers(required=True).add_parser(
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
        help="CSV: volunteer, arm, tissue, mean, sd, n_pixels, area_mm2",
    )
    run.add_argument("--plan", type=Path, required=True, help="JSON: analysis/plan.schema.json")
    run.add_argument("--out", type=Path, required=True, help="a new or empty folder")
    run.add_argument("--acquisition", type=Path, help="CSV: parameter, arm, value (for Table 1)")
    run.add_argument("--labels", type=Path, help="JSON: names for codes, in tables and figures")
    return parser
