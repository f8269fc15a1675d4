"""A study of real-sized images for benchmarks, made through the platform's own services.

Import after `Site.prepare`: this needs Django.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from readerstudy.demo.sources import load_sources
from readerstudy.reading.recording import do_check_display
from readerstudy.studies.models import Study
from tests.reading import imaged_study
from tests.reading.exchange import CONTRAST, DISPLAY

FIELD_OF_VIEW_MM = 300.0


@dataclass(frozen=True)
class Size:
    rows: int
    columns: int
    slices: int

    def __str__(self) -> str:
        return f"{self.slices} slices of {self.columns} x {self.rows}"


@functools.cache
def _spine(source: int, size: Size) -> np.ndarray:
    """A real lumbar spine brought to `size`: float32 [slices, rows, columns], 0 to 2000."""
    volume = load_sources()[source].volume.astype(np.float32)
    factors = np.divide((size.slices, size.rows, size.columns), volume.shape)
    brought = ndimage.zoom(volume, factors, order=1, mode="nearest", grid_mode=True)
    return np.asarray(brought * (2000.0 / volume.max()), dtype=np.float32)


def _volume(size: Size, volunteer: int, arm: int) -> np.ndarray:
    """Each arm with twice the noise of the one before; each volunteer another spine, or a shifted
    one."""
    draws = np.random.default_rng([volunteer, arm])
    truth = np.roll(_spine(volunteer % 6, size), 7 * (volunteer // 6), axis=2)
    noise = draws.standard_normal((2, *truth.shape), dtype=np.float32) * (5.0 * 2**arm)
    return np.clip(np.rint(np.hypot(truth + noise[0], noise[1])), 0, 4095).astype("<u2")


def images_of(size: Size) -> Callable[[Study, int], None]:
    """What fills a draft with the images of so many volunteers, of that size."""
    imaged_study.SLICES, imaged_study.ROWS, imaged_study.COLUMNS = (
        size.slices,
        size.rows,
        size.columns,
    )
    imaged_study.ROW_SPACING = imaged_study.COLUMN_SPACING = FIELD_OF_VIEW_MM / size.rows
    imaged_study.volume_of = functools.partial(_volume, size)  # type: ignore[assignment]
    return imaged_study.fill_study


def make_study(size: Size, *, volunteers: int, readers: int, **fields: Any) -> Study:
    """Launched and open for reading; `fields` of the study as the protocol may set them."""
    images_of(size)
    study = imaged_study.make_reading_study(volunteers, readers, **fields)
    _spine.cache_clear()
    for session in study.sessions.select_related("reader"):
        # The look at the display, which takes a person's time, was done before.
        reader = imaged_study.reader_of(session)
        do_check_display(session, {**DISPLAY, "contrast": CONTRAST}, reader)
    return study
