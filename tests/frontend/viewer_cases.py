"""Made-up cases of the viewer's tests: every slice and pane can be told by its grey."""

from __future__ import annotations

import numpy as np

from .viewer_site import Case

SLICES, ROWS, COLUMNS = 8, 150, 100


def volume(offset: int = 0) -> np.ndarray:
    """Slice k is 200 k + `offset`, brighter to the right; a bright pixel at row 40, column 30."""
    made = np.zeros((SLICES, ROWS, COLUMNS), np.uint16)
    made += (200 * np.arange(SLICES, dtype=np.uint16))[:, None, None]
    made += (4 * np.arange(COLUMNS, dtype=np.uint16))[None, None, :]
    made += np.uint16(offset)
    made[:, 40, 30] = 4000
    return made


def cases() -> dict[str, Case]:
    letters = list("ABCDEF")
    ranked = {
        f"rank{count}": Case([volume(10 * n) for n in range(count)], "ranking", letters[:count])
        for count in (3, 5, 6)
    }
    return {
        "pair": Case([volume(), volume(100)]),
        "next": Case([volume(300), volume(400)]),
        "after": Case([volume(500), volume(600)]),
        "one": Case([volume()], "absolute", ["Image"]),
        "flat": Case([volume(), volume(100)], spacing=(1.0, 0.5)),
        "choice": Case([volume(), volume(100)], "choice", ["Left", "Right"]),
        **ranked,
    }
