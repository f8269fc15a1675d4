"""What the page of a series of another image quality says, in words and figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from readerstudy.imaging.models import Series
from readerstudy.studies.wording import METHOD_NAMES, TRANSFER_MODELS, recipe_in_words

from .evidence import EXPECTED_ERROR, INTERPOLATED, has_map
from .facts import UNKNOWN, Fact, Picture, Section, percent
from .pictures import expected_error_limit
from .transfer import KIND
from .transfer_recipe import CUBIC

__all__ = ["KIND", "transfer_pictures", "transfer_sections"]

INVENTS = (
    "What was not measured, the network fills in from what its training heads look like: it may "
    "remove what is there and show what is not."
)


def transfer_sections(series: Series) -> list[Section]:
    made = series.provenance
    return [
        Section("Method", list(_method_facts(series, made))),
        Section("Warning map and errors", list(_error_facts(made))),
    ]


def transfer_warnings(made: Mapping[str, Any]) -> list[str]:
    """What stands above all else on the page."""
    warnings = [str(warning) for warning in made.get("warnings", [])]
    return warnings if made.get("model") == CUBIC else [INVENTS, *warnings]


def _method_facts(series: Series, made: Mapping[str, Any]) -> Iterator[Fact]:
    model = str(made.get("model") or "")
    yield Fact("Method", METHOD_NAMES.get(KIND, KIND))
    weights = str(made.get("weights_sha256") or "")
    version = str(made.get("model_version") or "")
    yield Fact(
        "Network",
        f"{TRANSFER_MODELS.get(model, model)} {version}".strip() if weights else "none",
        [f"weights {weights[:12]}…"] if weights else ["cubic splines between the thick slices"],
    )
    yield Fact("Recipe", recipe_in_words(series.arm))
    if made.get("thick"):
        yield Fact(
            "Thick slices",
            f"{made.get('thick_slices')}, {float(made['thick_spacing']):.2f} mm apart",
            [
                "added up from the source’s thin slices: a simulation; noise, motion and contrast "
                "are those of the thin scan"
                if made.get("simulated")
                else "as they were scanned; the result was sampled on the control’s grid"
            ],
        )
    samples = (made.get("uncertainty") or {}).get("dropout_samples")
    if samples is not None:
        yield Fact(
            "Warning map from",
            f"the network and {samples} runs with channels left out" if samples else "the network",
        )
    seconds = made.get("seconds")
    if seconds is not None:
        yield Fact("Computed", str(made.get("backend", "")), [f"{float(seconds):.1f} s"])


def _error_facts(made: Mapping[str, Any]) -> Iterator[Fact]:
    qc = made.get("qc", {})
    if qc.get("flagged_share") is None:
        yield Fact("Warning map", "none", ["no network, so nothing was made up: only blurred"])
    else:
        yield Fact(
            "Flagged",
            percent(float(qc["flagged_share"])),
            ["of the inside of the head, the least sure: the images should not be relied on there"],
            "warn",
        )
        yield Fact(
            "Expected error",
            _of_signal(qc.get("expected_error_median")),
            [f"median of the inside; 95th percentile {_of_signal(qc.get('expected_error_p95'))}"],
        )
    if qc.get("error") is None:
        yield Fact(
            "Found error", "not measurable", ["the volunteer was not scanned with thin slices"]
        )
        return
    better = float(qc["error"]) < float(qc["error_of_interpolation"])
    alone = _of_signal(qc["error_of_interpolation"])
    yield Fact(
        "Found error",
        _of_signal(qc["error"]),
        [f"against the thin slices; interpolation alone {alone}"],
        "ok" if better or made.get("model") == CUBIC else "bad",
    )
    if qc.get("error_flagged") is not None:
        yield Fact(
            "Where flagged",
            _of_signal(qc["error_flagged"]),
            [
                f"elsewhere {_of_signal(qc['error_elsewhere'])}: "
                f"{float(qc['error_flagged']) / max(float(qc['error_elsewhere']), 1e-12):.1f} times"
            ],
        )


def _of_signal(share: float | None) -> str:
    return UNKNOWN if share is None else f"{100 * float(share):.1f} % of the signal"


def transfer_pictures(series: Series, source: Series | None) -> Iterator[Picture]:
    simulated = bool(series.provenance.get("simulated"))
    if simulated and source is not None:
        yield Picture("input", source.arm.name, "the thin slices, as they were scanned")
    if has_map(series, INTERPOLATED):
        yield Picture(
            "interpolated",
            "Thick slices",
            "what went in, interpolated: nothing made up; same window",
        )
    yield Picture("output", series.arm.name, "what readers get; same window")
    if has_map(series, EXPECTED_ERROR):
        yield Picture(
            "expected_error",
            "Warning map",
            "error to be expected (SD); flagged where outlined: do not rely on the images there",
            "scale-heat",
            "0",
            f"{expected_error_limit(series):.3g}",
        )
    if simulated and source is not None:
        yield Picture(
            "difference",
            "Difference",
            f"{source.arm.name} − {series.arm.name}; anatomy seen here is error",
            "scale-grey",
            f"−{expected_error_limit(series):.3g}",
            f"+{expected_error_limit(series):.3g}",
        )
