"""What a method did to painted lesions, as measured: for people who decide whether to use it.

The file is written by ``python benchmarks/transfer.py --only lesions --write`` and shipped with the
weights. It holds every network of the engine that was measured, so that a study can show, for the
method of a derived arm, how many lesions survived it and how many it made up.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from denoise_engine.errors import ModelError
from denoise_engine.models import WEIGHTS
from denoise_engine.transfer.lesions import FalseCount, LesionCount

LESIONS = WEIGHTS / "lesions.json"


@dataclass(frozen=True)
class LesionRecord:
    """A method on one kind of scan.

    Attributes
    ----------
    method : str
        As in the record of a derived series.
    version, sha256 : str or None
        Of the weights that were measured; None where there are none.
    scan : str
        What the method was given, in words.
    counts : tuple of LesionCount
        Painted and survived, by diameter (mm) and contrast (of white matter).
    invented, places : int
        Places that looked like a lesion although there was none, of those looked at.
    false_positives : tuple of FalseCount
        The same by diameter, and whether darker or brighter.
    baseline : str or None
        What the method begins with or replaces: interpolation, the scan itself, SENSE.
    baseline_rate : float or None
        Share of the places at which that looks like a lesion.
    """

    method: str
    version: str | None
    sha256: str | None
    scan: str
    counts: tuple[LesionCount, ...]
    invented: int
    places: int
    false_positives: tuple[FalseCount, ...] = ()
    baseline: str | None = None
    baseline_rate: float | None = None

    @property
    def rate(self) -> float:
        """Share of the places at which a lesion was made up."""
        return self.invented / self.places if self.places else 0.0

    @property
    def painted(self) -> int:
        return sum(count.painted for count in self.counts)

    @property
    def survived(self) -> int:
        return sum(count.survived for count in self.counts)

    @property
    def missed(self) -> int:
        """False negatives."""
        return self.painted - self.survived


def lesion_records(
    method: str, *, sha256: str | None = None, file: Path = LESIONS
) -> list[LesionRecord]:
    """Return what was measured of a method, one record for each kind of scan.

    Parameters
    ----------
    method : str
        Name of the method: ``ddlr``, ``unrolled``, ``sr-unet``, ``7t-like-gan`` …
    sha256 : str, optional
        Of the weights in use: records of other weights are left out, they tell nothing of these.
    file : Path
        Where they stand.

    Raises
    ------
    ModelError
        The file is missing or unreadable.
    """
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))["methods"]
        found = [
            LesionRecord(
                e["method"],
                e["version"],
                e["sha256"],
                e["scan"],
                tuple(LesionCount(**count) for count in e["counts"]),
                e["invented"],
                e["places"],
                tuple(FalseCount(**count) for count in e.get("false_positives", ())),
                *_beside(e.get("baseline"), entries),
            )
            for e in entries
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"The lesion figures “{file.name}” cannot be read.") from error
    return [one for one in found if one.method == method and sha256 in (None, one.sha256)]


def _beside(
    baseline: dict[str, str] | None, entries: list[dict[str, Any]]
) -> tuple[str | None, float | None]:
    """Return name and rate of a baseline; no rate where it was not measured."""
    if baseline is None:
        return None, None
    for entry in entries:
        if entry["method"] == baseline["method"] and entry["scan"] == baseline["scan"]:
            return entry["method"], entry["invented"] / entry["places"]
    return baseline["method"], None
