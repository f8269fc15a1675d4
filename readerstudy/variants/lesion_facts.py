"""How painted lesions fared in the test of the network that made a series, for its page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from denoise_engine.errors import EngineError
from denoise_engine.transfer.lesion_record import LesionRecord, lesion_records

from .facts import Fact, Section

TITLE = "Painted lesions"


def lesion_section(made: Mapping[str, Any]) -> Section | None:
    """Of the provenance of a series; None where no network had a hand in it."""
    weights = str(made.get("weights_sha256") or "")
    if not weights:
        return None
    return Section(TITLE, list(_facts(str(made.get("model") or made.get("method")), weights)))


def _facts(model: str, weights: str) -> Iterator[Fact]:
    try:
        records = lesion_records(model, sha256=weights)
    except EngineError:  # nothing was measured yet, or the file is gone
        records = []
    if not records:
        yield Fact(
            "All",
            "not measured",
            ["with these weights: whether they remove lesions or invent them is not known"],
            "warn",
        )
    for record in records:
        yield Fact(
            record.scan[:1].upper() + record.scan[1:],
            f"{record.survived} of {record.painted} painted lesions still show",
            [
                f"{record.missed} missed: less than half of their contrast is left, or they do not "
                "stand out",
                _invented(record),
                *_least(record.counts),
            ],
            "warn" if record.missed or record.invented else "ok",
        )


def lesion_line(made: Mapping[str, Any]) -> str:
    """The same in a line, for beside the images; empty where no network had a hand in them."""
    section = lesion_section(made)
    if section is None:
        return ""
    return "; ".join(
        f"lesion test, {fact.label[:1].lower()}{fact.label[1:]}: {fact.value}"
        for fact in section.facts
    )


def _invented(record: LesionRecord) -> str:
    """How often something appeared that was not there, beside what shows without a network."""
    told = f"{record.invented:,} invented, at {record.places:,} places without a lesion"
    if record.baseline is None or record.baseline_rate is None:
        return f"{told} ({_share(record.rate)})"
    before = f"{_share(record.baseline_rate)} by {record.baseline}"
    return f"{told} ({_share(record.rate)}, against {before})"


def _share(rate: float) -> str:
    return f"{100 * rate:.1f} %"


def _least(counts: Any) -> list[str]:
    """The size and contrast of which fewest still show: what not to look for in these images."""
    lost = [count for count in counts if count.survived < count.painted]
    if not lost:
        return []
    worst = min(lost, key=lambda count: (count.survived / count.painted, count.diameter))
    contrast = f"{100 * worst.contrast:+.0f} %".replace("-", "−")
    return [
        f"fewest of {worst.diameter:g} mm and {contrast} contrast: {worst.survived} of "
        f"{worst.painted} still show"
    ]
