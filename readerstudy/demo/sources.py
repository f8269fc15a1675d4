"""The openly licensed images from which the demo's acquired arms are simulated."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

DATA = Path(__file__).parent / "data" / "lumbar"


@dataclass(frozen=True)
class Source:
    """One volunteer: volume [slices, rows, columns], spacing (slice, row, column) in mm."""

    code: str
    volume: NDArray[Any]
    spacing_mm: tuple[float, float, float]
    snr: float  # mean body signal over noise SD in the standard arm
    seed: int
    # tissue code → {"slice", "row", "column", "semi_axes_mm", "angle_deg"}
    regions: dict[str, dict[str, Any]]


def load_sources() -> list[Source]:
    regions = json.loads((DATA / "regions.json").read_text(encoding="utf-8"))
    sources = []
    for path in sorted(DATA.glob("V*.npz")):
        with np.load(path) as stored:
            slice_spacing, row_spacing, column_spacing = (float(v) for v in stored["spacing_mm"])
            sources.append(
                Source(
                    code=path.stem,
                    volume=stored["volume"],
                    spacing_mm=(slice_spacing, row_spacing, column_spacing),
                    snr=float(stored["snr"]),
                    seed=int(stored["seed"]),
                    regions=regions[path.stem],
                )
            )
    return sources
