"""Small noisy scans for the engine, stored through the platform's own services."""

from __future__ import annotations

from typing import Any

import numpy as np

from denoise_engine.simulation import simulate_acquisition
from readerstudy.demo.sources import load_sources
from readerstudy.imaging.models import Series, Volunteer
from readerstudy.imaging.services import do_store_series
from readerstudy.studies.models import Arm, Study
from tests.imaging.datasets import series


def lumbar(
    rows: slice = slice(224, 320), columns: slice = slice(112, 208), slices: int = 2
) -> np.ndarray:
    """A noisy double-fast lumbar spine, cropped: uint16 [2, 96, 96] unless told otherwise."""
    source = load_sources()[0]
    crop = source.volume[2 : 2 + slices, rows, columns].astype(np.float32)
    noisy = simulate_acquisition(crop, protocol="double-fast", snr=12.0, seed=1).volume
    return np.rint(np.clip(noisy * 4, 0, 65535)).astype(np.uint16)


def store(volunteer: Volunteer, code: str, pixels: np.ndarray, **options: Any) -> Series:
    arm = volunteer.study.arms.get(code=code)
    return do_store_series(volunteer, arm, series(pixels, **options))


def add_derived_arm(study: Study, code: str, recipe: dict[str, Any], source: str = "DF") -> Arm:
    """One more arm of a draft, beside those of the lumbar protocol."""
    return Arm.objects.create(
        study=study,
        code=code,
        name=code.lower().replace("_", "-"),
        position=study.arms.count() + 1,
        kind=Arm.Kind.DERIVED,
        source=study.arms.get(code=source),
        recipe=recipe,
    )
