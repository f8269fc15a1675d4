"""What the page of a derived series says, in words and figures."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from readerstudy.imaging.models import Series
from readerstudy.studies.models import Arm, Study
from readerstudy.studies.wording import METHOD_NAMES, recipe_in_words, source_in_words

from .evidence import NOISE, UNCERTAINTY, has_map, has_warning_objects
from .facts import UNKNOWN, Fact, Picture, Section, factor, percent
from .lesion_facts import lesion_section
from .pictures import REMOVED_LIMIT, UNCERTAINTY_LIMIT, noise_limit, picture_size
from .reconstruction_page import KIND, reconstruction_pictures, reconstruction_sections
from .transfer_page import KIND as TRANSFER_KIND
from .transfer_page import transfer_pictures, transfer_sections, warnings_of_making

BEFORE = "This series was made before evidence was gathered: it has no maps and no tests."


@dataclass(frozen=True)
class SliceLink:
    """A slice in which something is flagged."""

    index: int
    flagged: float  # share of its pixels
    is_current: bool

    @property
    def number(self) -> int:
        return self.index + 1

    @property
    def share(self) -> str:
        return percent(self.flagged)


@dataclass(frozen=True)
class EvidencePage:
    series: Series
    source: Series | None  # None for the scan itself, reconstructed from its raw data
    index: int  # of the slice that is shown
    warnings: Sequence[str]
    sections: Sequence[Section]
    pictures: Sequence[Picture]
    flagged_slices: Sequence[SliceLink]
    has_download: bool  # the warning map, as DICOM objects
    width: int
    height: int
    before: Series | None  # the derived series beside this one
    after: Series | None

    @property
    def made_from(self) -> str:
        if self.series.provenance.get("kind") == KIND:
            whose = "its" if self.source is None else f"{self.source.arm.name}’s"
            return f"{whose} raw data"
        return source_in_words(self.series.arm) if self.source else ""

    @property
    def number(self) -> int:
        return self.index + 1

    @property
    def previous_number(self) -> int | None:
        return self.index if self.index > 0 else None

    @property
    def next_number(self) -> int | None:
        return self.index + 2 if self.index + 1 < self.series.slices else None


# What the worker made: derived arms, and acquired ones that were sent as raw data.
MADE_HERE = Q(arm__kind=Arm.Kind.DERIVED) | Q(variant__raw__isnull=False)


def find_derived(study: Study, series_id: uuid.UUID) -> tuple[Series, Series | None] | None:
    """A series of the study that the worker made, and the one it was made from or is compared with.

    There is none of an acquired arm that was reconstructed from raw data.
    """
    series = (
        Series.objects.filter(MADE_HERE, pk=series_id, volunteer__study=study)
        .select_related("volunteer", "arm__source")
        .first()
    )
    if series is None:
        return None
    if not series.arm.is_derived:
        return series, None
    source = (
        Series.objects.filter(volunteer=series.volunteer_id, arm=series.arm.source_id)
        .select_related("volunteer", "arm")
        .first()
    )
    return None if source is None else (series, source)


def evidence_page(series: Series, source: Series | None, index: int) -> EvidencePage:
    made = series.provenance
    before, after = _neighbours(series)
    width, height = picture_size(series)
    warnings, sections, pictures = _content(series, source)
    if lesions := lesion_section(made):
        sections = [*sections, lesions]
    return EvidencePage(
        series=series,
        source=source,
        index=index,
        warnings=warnings,
        sections=sections,
        pictures=pictures,
        flagged_slices=_flagged_slices(made, index),
        has_download=made.get("kind") == TRANSFER_KIND and has_warning_objects(series),
        width=width,
        height=height,
        before=before,
        after=after,
    )


def _content(
    series: Series, source: Series | None
) -> tuple[list[str], list[Section], list[Picture]]:
    """Warnings, sections and pictures, by how the series came about."""
    made = series.provenance
    said = warnings_of_making(made)
    if made.get("kind") == KIND:
        return said, reconstruction_sections(series), list(reconstruction_pictures(series, source))
    if made.get("kind") == TRANSFER_KIND:
        pictures = list(transfer_pictures(series, source))
        return said, transfer_sections(series), pictures
    sections = [
        Section("Method and strength", list(_method_facts(series.arm, made))),
        Section("Noise", [*_noise_facts(made), *_grid_facts(series)]),
        Section("Evidence", list(_evidence_facts(made.get("qc", {})))),
    ]
    return [*said, *([] if "qc" in made else [BEFORE])], sections, list(_pictures(series))


def _neighbours(series: Series) -> tuple[Series | None, Series | None]:
    """The derived series before and after this one, in the order of the grid."""
    ordered = list(
        Series.objects.filter(MADE_HERE, volunteer__study=series.volunteer.study_id)
        .select_related("volunteer", "arm")
        .order_by("volunteer__code", "arm__position", "arm__pk")
    )
    at = ordered.index(series)
    before = ordered[at - 1] if at else None
    return before, ordered[at + 1] if at + 1 < len(ordered) else None


def _flagged_slices(made: Mapping[str, Any], index: int) -> list[SliceLink]:
    flagged = made.get("maps", {}).get("flagged_of_slices") or []
    return [SliceLink(k, share, k == index) for k, share in enumerate(flagged) if share > 0]


def _method_facts(arm: Arm, made: Mapping[str, Any]) -> Iterator[Fact]:
    method = str(made.get("method", ""))
    version = str(made.get("model_version") or "")
    yield Fact("Method", METHOD_NAMES.get(method, method) or UNKNOWN)
    weights = str(made.get("weights_sha256") or "")
    yield Fact("Version", version or UNKNOWN, [f"weights {weights[:12]}…"] if weights else [])
    yield Fact("Recipe", recipe_in_words(arm))
    blend = made.get("blend")
    if blend is not None:
        shares = {0.0: "the input alone", 1.0: "the output alone"}
        mixed = f"{percent(blend)} of the output, the rest input"
        yield Fact("Blend", shares.get(float(blend), mixed))
    asked = made.get("target_gain")
    yield Fact("SNR gain asked", factor(asked) if asked is not None else "none")
    air = made.get("air_gain")
    yield Fact(
        "SNR gain achieved",
        f"{factor(made.get('achieved_gain'))} in the body",
        [f"{factor(air)} in the air" if air is not None else "not measurable in the air"],
    )
    seconds = made.get("seconds")
    if seconds is not None:
        yield Fact("Computed", str(made.get("backend", "")), [f"{float(seconds):.1f} s"])


CONFIDENCE_BADGES = {"high": "ok", "fair": "warn", "low": "bad"}


def _noise_facts(made: Mapping[str, Any]) -> Iterator[Fact]:
    sigma = made.get("sigma")
    yield Fact("Level (SD)", f"{sigma:.4g} in the images’ unit" if sigma is not None else UNKNOWN)
    spread = made.get("maps", {}).get("noise_sd")
    if spread and spread["highest"] > spread["lowest"]:
        yield Fact("Noise map", f"{spread['lowest']:.4g} to {spread['highest']:.4g}")
    elif spread:
        yield Fact("Noise map", "one level for the whole image")
    yield Fact("How found", str(made.get("sigma_method") or UNKNOWN))
    reasons = [str(reason) for reason in made.get("sigma_reasons", [])]
    if not reasons and made.get("sigma_trusted") is False:
        reasons = ["The noise is not white: the level holds for some detail only."]
    confidence = str(made.get("sigma_confidence") or UNKNOWN)
    yield Fact(
        "Confidence",
        confidence,
        reasons,
        CONFIDENCE_BADGES.get(confidence, ""),
    )
    yield Fact("Bias of magnitude data", _bias_in_words(made.get("bias")))


def _bias_in_words(bias: Mapping[str, Any] | None) -> str:
    if not bias:
        return "not corrected"
    coils = int(bias["coils"])
    return f"corrected ({bias['noise']}, {coils} coil{'s' if coils > 1 else ''})"


def _grid_facts(series: Series) -> Iterator[Fact]:
    """Whether the images were taken back to the grid they were acquired on."""
    grid = series.provenance.get("native_grid")
    if grid is None:
        return
    if grid["how"] == "native":
        yield Fact("Grid", "as acquired, or the recipe leaves it: nothing was resampled")
        return
    yield Fact(
        "Grid",
        f"denoised at {grid['rows']} × {grid['columns']}, interpolated to "
        f"{series.rows} × {series.columns} again",
        [f"the scanner had interpolated them; found from the {grid['how']}"],
    )


def _evidence_facts(qc: Mapping[str, Any]) -> Iterator[Fact]:
    """The QC record in words; see `denoise_engine.evidence` for what each figure means."""
    if not qc:
        return
    passed = bool(qc["structure_passed"])
    yield Fact(
        "Structure test",
        "passed" if passed else "not passed",
        [str(qc["structure_sentence"])],
        "ok" if passed else "bad",
    )
    yield Fact(
        "Removed at edges",
        f"{_figure(qc['edge_excess'])} of that in flat tissue",
        [f"rank correlation with edges {_figure(qc['edge_correlation'])}; noise gives 0 or less"],
    )
    yield Fact("Whiteness", _figure(qc["whiteness"]), ["of what was removed; 1 for white noise"])
    yield Fact("Removed", f"{_figure(qc['removed_sd'])} σ (RMS in the body)")
    yield Fact(
        "Uncertainty",
        f"{_figure(qc['uncertainty_median'])} σ (median in the body)",
        [f"95th percentile {_figure(qc['uncertainty_p95'])} σ; at full strength"],
    )
    flagged = float(qc["flagged_share"])
    yield Fact(
        "Flagged",
        f"{percent(flagged)} of the body",
        [
            "the output should not be believed there: outlined on the uncertainty map",
            *_largest_places(qc),
        ],
        "ok" if flagged == 0 else "warn",
    )
    yield _range_fact(qc)


def _largest_places(qc: Mapping[str, Any], most: int = 3) -> list[str]:
    """Where the largest flagged places are; records of the first version do not tell."""
    places = [
        f"slice {p['slice'] + 1} (row {p['row'] + 1}, column {p['column'] + 1}, {p['pixels']} px)"
        for p in qc.get("flagged_places", [])[:most]
    ]
    return [f"largest: {'; '.join(places)}"] if places else []


def _range_fact(qc: Mapping[str, Any]) -> Fact:
    label, snr = "SNR of the input", _figure(qc["snr"])
    if qc["snr_range"] is None:
        return Fact(label, snr, ["the method was not trained, so has no range"])
    lowest, highest = qc["snr_range"]
    return Fact(
        label, snr, [f"trained for {lowest:g} to {highest:g}"], "ok" if qc["in_range"] else "warn"
    )


def _pictures(series: Series) -> Iterator[Picture]:
    yield Picture("input", "Input", "as it was acquired")
    yield Picture("output", "Output", "what readers get; same window as the input")
    limit = f"{REMOVED_LIMIT:g}"
    yield Picture(
        "removed",
        "Removed noise",
        "input − output over the local noise SD (σ); anatomy seen here was taken away",
        "scale-grey",
        f"−{limit} σ",
        f"+{limit} σ",
    )
    if has_map(series, UNCERTAINTY):
        yield Picture(
            "uncertainty",
            "Uncertainty",
            "estimated error of the full output; do not believe it where outlined",
            "scale-heat",
            "0",
            f"{UNCERTAINTY_LIMIT:g} σ",
        )
    if has_map(series, NOISE):
        yield Picture(
            "noise",
            "Noise map",
            "SD of the noise that was assumed",
            "scale-heat",
            "0",
            f"{noise_limit(series):.3g}",
        )


def _figure(value: float | None) -> str:
    return "not measurable" if value is None else f"{value:.2f}".replace("-", "−")
