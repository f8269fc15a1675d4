"""Every file that `python -m analysis run` writes: the same bytes for the same input."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import get_args

import pandas as pd

from analysis.figure_style import ImageFormat
from analysis.figures import figure_3, figure_4
from analysis.image_input import ImageFigure
from analysis.input_checks import InputError
from analysis.plan import AnalysisPlan
from analysis.plan_document import write_plan
from analysis.preference_figures import figure_choices, figure_ranking
from analysis.publication import publication_tables
from analysis.r_scripts import imrmc_layout, mixed_model_script, recompute_script
from analysis.results_document import write_results
from analysis.run import Results
from analysis.score_figures import figure_bland_altman, figure_differences, figure_scores
from analysis.table_formats import docx_table, html_table, latex_table
from analysis.tables import comparison_label, csv_bytes, result_tables


@dataclass(frozen=True)
class Inputs:
    """What was read: checked tables, the plan, and the names to print.

    Attributes
    ----------
    scores, regions : pandas.DataFrame
        Empty where none were given.
    choices, rankings, acquisition : pandas.DataFrame or None
    plan : AnalysisPlan
    labels : mapping of str to str
        Names for codes.
    images : tuple of ImageFigure
    hashes : dict of str to str
        SHA-256 of each file that was read, by what it is.
    """

    scores: pd.DataFrame
    regions: pd.DataFrame
    choices: pd.DataFrame | None
    rankings: pd.DataFrame | None
    plan: AnalysisPlan
    labels: Mapping[str, str]
    acquisition: pd.DataFrame | None
    images: tuple[ImageFigure, ...] = ()
    hashes: dict[str, str] = field(default_factory=dict)


def output_files(inputs: Inputs, results: Results) -> dict[str, bytes]:
    """Every file of the output folder, by its path in it; the same bytes for the same input.

    Parameters
    ----------
    inputs : Inputs
    results : Results
        Of the same inputs.

    Returns
    -------
    dict of str to bytes

    Raises
    ------
    InputError
        If a table or a figure cannot be made from the inputs.

    Examples
    --------
    >>> from analysis.example import example_study
    >>> from analysis.run import run_plan
    >>> study = example_study()
    >>> inputs = Inputs(study.scores, pd.DataFrame(), None, None, study.plan, {}, None)
    >>> files = output_files(inputs, run_plan(study.scores, pd.DataFrame(), study.plan))
    >>> [name for name in files if name.startswith("figures/") and name.endswith(".pdf")]
    ['figures/figure4.pdf', 'figures/scores.pdf', 'figures/differences.pdf']
    """
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
    for name, given in (("choices", inputs.choices), ("rankings", inputs.rankings)):
        if given is not None:
            files[f"r/{name}_long.csv"] = csv_bytes(given)
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


def _figures(inputs: Inputs, results: Results) -> dict[str, Callable[[ImageFormat], bytes]]:
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
    if not results.choices.empty and results.choices["p"].notna().any():
        found["choices"] = lambda kind: figure_choices(results, labels, image_format=kind)
    if not results.rankings.empty:
        found["ranking"] = lambda kind: figure_ranking(results, labels, image_format=kind)
    for image in inputs.images:
        if image.name in found:
            raise InputError(
                f"images, {image.name}: a figure of the results has this name; choose another."
            )
        found[image.name] = _drawn(image, labels)
    return found


def _drawn(image: ImageFigure, labels: Mapping[str, str]) -> Callable[[ImageFormat], bytes]:
    return lambda kind: image.draw(kind, labels)


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
