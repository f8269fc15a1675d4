"""What the page of a series of another image quality says, in words and figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from denoise_engine.dicom.provenance import NOT_SCANNED_SO, keeps_slices
from readerstudy.imaging.models import Series
from readerstudy.studies.wording import METHOD_NAMES, TRANSFER_MODELS, recipe_in_words

from .evidence import EXPECTED_ERROR, INTERPOLATED, has_map
from .facts import UNKNOWN, Fact, Picture, Section, percent
from .pictures import expected_error_limit
from .transfer import KIND
from .transfer_recipe import CUBIC

__all__ = ["KIND", "transfer_pictures", "transfer_sections"]

# What the networks of another look were trained to take in.
TRAINED_FIELD = 3.0
FIELD_TOLERANCE = 0.25  # scanners called 3 T say 2.89 to 3

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


def warnings_of_making(made: Mapping[str, Any]) -> list[str]:
    """Of the provenance of a series: what stands above all else on its page."""
    warnings = [str(warning) for warning in made.get("warnings", [])]
    if made.get("kind") != KIND or made.get("model") == CUBIC:
        return warnings
    return [INVENTS, *warnings]


def _method_facts(series: Series, made: Mapping[str, Any]) -> Iterator[Fact]:
    yield Fact("Method", METHOD_NAMES.get(KIND, KIND), _made_in_words(made))
    yield _network_fact(made)
    yield Fact("Recipe", recipe_in_words(series.arm))
    if keeps_slices(made):
        yield _field_fact(series)
    elif made.get("thick"):
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


def _made_in_words(made: Mapping[str, Any]) -> list[str]:
    """What was made of what; the same words stand in the DICOM headers."""
    if keeps_slices(made):
        return [NOT_SCANNED_SO]
    if made.get("model") == CUBIC:
        return ["slices interpolated between thick ones"]
    return ["thin slices made from thick ones"]


def _network_fact(made: Mapping[str, Any]) -> Fact:
    weights = str(made.get("weights_sha256") or "")
    if not weights:
        return Fact("Network", "none", ["cubic splines between the thick slices"])
    model, version = str(made.get("model") or ""), str(made.get("model_version") or "")
    named = f"{TRANSFER_MODELS.get(model, model)}, version {version}"
    return Fact("Network", named, [f"weights {weights[:12]}…"])


def _field_fact(series: Series) -> Fact:
    """At what field the scan was made, where its header says so."""
    try:
        field = float(series.parameters["MagneticFieldStrength"])
    except (KeyError, TypeError, ValueError):
        return Fact("Scanned at", UNKNOWN, [f"the network was trained for {TRAINED_FIELD:g} T"])
    is_off = abs(field - TRAINED_FIELD) > FIELD_TOLERANCE
    return Fact(
        "Scanned at",
        f"{field:.3g} T",
        [f"the network was trained for {TRAINED_FIELD:g} T"] if is_off else [],
        "warn" if is_off else "",
    )


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
        yield Fact("Found error", "not measurable", [_why_not_measurable(made)])
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


def _why_not_measurable(made: Mapping[str, Any]) -> str:
    if keeps_slices(made):
        return "nothing was scanned at 7 T that the images could be held against"
    return "the slices were scanned thick: what lay between them was not measured"


def _of_signal(share: float | None) -> str:
    return UNKNOWN if share is None else f"{100 * float(share):.1f} % of the signal"


def transfer_pictures(series: Series, source: Series | None) -> Iterator[Picture]:
    if keeps_slices(series.provenance):
        yield from _pictures_of_another_look(series, source)
        return
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
    yield from _warning_picture(series)
    if simulated and source is not None:
        yield _difference_picture(series, source, "anatomy seen here is error")


def _pictures_of_another_look(series: Series, source: Series | None) -> Iterator[Picture]:
    if source is not None:
        yield Picture("input", source.arm.name, "what went in, as it was scanned")
    yield Picture("output", series.arm.name, "what readers get; same window; not scanned at 7 T")
    yield from _warning_picture(series)
    if source is not None:
        changed = "what the network changed: anatomy seen here was added or taken away"
        yield _difference_picture(series, source, changed)


def _warning_picture(series: Series) -> Iterator[Picture]:
    if has_map(series, EXPECTED_ERROR):
        yield Picture(
            "expected_error",
            "Warning map",
            "error to be expected (SD); flagged where outlined: do not rely on the images there",
            "scale-heat",
            "0",
            f"{expected_error_limit(series):.3g}",
        )


def _difference_picture(series: Series, source: Series, meaning: str) -> Picture:
    return Picture(
        "difference",
        "Difference",
        f"{source.arm.name} − {series.arm.name}; {meaning}",
        "scale-grey",
        f"−{expected_error_limit(series):.3g}",
        f"+{expected_error_limit(series):.3g}",
    )
