"""What the page of a series made from raw data says, in words and figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from readerstudy.imaging.models import Series
from readerstudy.studies.wording import METHOD_NAMES, recipe_in_words

from .evidence import G_FACTOR, NOISE, has_map
from .facts import UNKNOWN, Fact, Picture, Section, percent
from .pictures import REMOVED_LIMIT, g_limit, noise_limit

KIND = "reconstruction"
SAMPLING_KINDS = {"full": "every line", "uniform": "every n-th line", "random": "random lines"}


def reconstruction_sections(series: Series) -> list[Section]:
    made = series.provenance
    return [
        Section("Reconstruction", list(_method_facts(series, made))),
        Section("Sampling", list(_sampling_facts(made))),
        Section("Noise", list(_noise_facts(made))),
    ]


def _method_facts(series: Series, made: Mapping[str, Any]) -> Iterator[Fact]:
    method = str(made.get("method") or "")
    yield Fact("Method", METHOD_NAMES.get(method, method) or UNKNOWN)
    weights = str(made.get("weights_sha256") or "")
    if weights:
        version = str(made.get("model_version") or UNKNOWN)
        yield Fact("Network", f"{made.get('model')} {version}", [f"weights {weights[:12]}…"])
    if series.arm.is_derived:
        yield Fact("Recipe", recipe_in_words(series.arm))
    else:
        yield Fact("Recipe", "none: an acquired arm, from its scan as it was measured")
    bound = made.get("bound")
    if bound is not None:
        yield Fact("λ", f"{bound:g}", ["noise is amplified by no more"])
    bounds = made.get("bounds")
    if bounds:
        yield Fact("λ of each iteration", ", ".join(f"{value:.2f}" for value in bounds))
    if made.get("closing_bound"):
        yield Fact("λ of the closing SENSE step", f"{made['closing_bound']:.2f}")
    penalty = made.get("penalty_in_sigma")
    if penalty is not None:
        yield Fact("Wavelet weight", f"{penalty:g} σ")
    yield Fact("Solved by", str(made.get("solver") or "the inverse Fourier transform"))
    yield Fact("Sensitivities", str(made.get("sensitivities") or UNKNOWN))
    seconds = made.get("seconds")
    if seconds is not None:
        yield Fact("Computed", str(made.get("backend", "")), [f"{float(seconds):.1f} s"])


def _sampling_facts(made: Mapping[str, Any]) -> Iterator[Fact]:
    acceleration = made.get("acceleration")
    yield Fact(
        "Acceleration",
        f"R = {float(acceleration):.2f}" if acceleration else UNKNOWN,
        ["all points over those sampled, the full centre included"],
    )
    asked = made.get("undersampling")
    if made.get("retrospective") and asked:
        said = f"{asked['acceleration']:g}"
        if asked.get("second", 1) > 1:
            said += f" × {asked['second']}"
        kind = "random lines" if asked["kind"] == "random" else "regular"
        yield Fact(
            "Lines left out",
            f"R = {said}, {kind}",
            [
                f"around a full centre of {asked['centre']} lines",
                "of a full scan, afterwards: motion and contrast are those of the full scan",
            ],
        )
    else:
        yield Fact("Lines left out", "none beside what the scan left out")
    sampling = str(made.get("sampling") or "")
    yield Fact("Pattern", SAMPLING_KINDS.get(sampling, sampling) or UNKNOWN)
    yield Fact("Calibration", str(made.get("calibration") or UNKNOWN))
    coils, virtual = made.get("coils"), made.get("virtual_coils")
    notes = []
    if virtual and coils and virtual < coils:
        kept = made.get("energy_kept")
        share = f", {percent(float(kept))} of the signal" if kept is not None else ""
        notes = [f"compressed to {virtual}{share}"]
    yield Fact("Coils", str(coils or UNKNOWN), notes)
    digest = str(made.get("source_sha256") or "")
    yield Fact("Raw data", f"SHA-256 {digest[:12]}…" if digest else UNKNOWN)


def _noise_facts(made: Mapping[str, Any]) -> Iterator[Fact]:
    yield Fact("How found", str(made.get("noise") or UNKNOWN))
    yield Fact("Noise map", str(made.get("noise_map") or "analytic"))
    maps = made.get("maps", {})
    for name, label in (("noise_sd", "Level (SD)"), ("g_factor", "g-factor")):
        found = maps.get(name)
        if found:
            yield Fact(
                label,
                f"{found['median']:.3g} (median)",
                [f"{found['lowest']:.3g} to {found['highest']:.3g}"],
            )


def reconstruction_pictures(series: Series, source: Series | None) -> Iterator[Picture]:
    if source is not None:
        yield Picture("input", source.arm.name, "the arm whose raw data these are")
    yield Picture("output", series.arm.name, "what readers get")
    if source is not None:
        limit = f"{REMOVED_LIMIT:g}"
        yield Picture(
            "removed",
            "Difference",
            f"{source.arm.name} − {series.arm.name}, over the local noise SD (σ); anatomy or "
            "folding seen here is error",
            "scale-grey",
            f"−{limit} σ",
            f"+{limit} σ",
        )
    if has_map(series, G_FACTOR):
        yield Picture(
            "g_factor",
            "g-factor",
            "how much the reconstruction amplified the noise",
            "scale-heat",
            "0",
            f"{g_limit(series):.3g}",
        )
    if has_map(series, NOISE):
        yield Picture(
            "noise",
            "Noise map",
            "SD of the noise in these images",
            "scale-heat",
            "0",
            f"{noise_limit(series):.3g}",
        )
