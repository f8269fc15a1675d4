"""A network over a volume within a memory ceiling: slices in batches, large slices in tiles.

A pixel of the result depends on 57 × 57 pixels of the input, so a tile that is read with 28 more
pixels on each side gives its core as the whole slice would: there are no seams and nothing has to
be blended.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from denoise_engine.ddlr.compiled import load
from denoise_engine.ddlr.dct import MARGIN
from denoise_engine.ddlr.folded import FoldedDDLR
from denoise_engine.ddlr.network import DDLR, RECEPTIVE_FIELD
from denoise_engine.errors import BackendError
from denoise_engine.runtime import Backend, has_bfloat16, keep_freed_memory

Floats = NDArray[np.float32]
Progress = Callable[[int, int], None]

HALO = RECEPTIVE_FIELD // 2
# What the network may hold beside the volumes themselves.
DEFAULT_MEMORY = 512 * 2**20
# Peak of a pass over the pixels it reads, padding included: the 48 channels of two layers, the
# components of the DCT, and what the convolutions set aside. Measured: 1,000 in float32, 1,200 with
# a noise map, 800 and 1,000 in bfloat16.
BYTES_A_PIXEL = 1250
# Set aside for what does not go with the size: compiled kernels, reordered weights, memory that is
# free but in pieces.
FIXED_MEMORY = 64 * 2**20
_CORE = 32  # the smallest that is worth reading a halo for
# A batch gains nothing on a processor once it is this large, and progress is shown a batch.
_MOST_PIXELS_A_BATCH = {"cpu": 2**19, "cuda": 2**24}


@dataclass(frozen=True)
class Tile:
    """The part of a slice that a pass reads, and the core of it that it fills."""

    read: tuple[slice, slice]
    core: tuple[slice, slice]

    @property
    def core_within(self) -> tuple[slice, slice]:
        """The core, counted from the first pixel that is read."""
        rows, columns = (
            slice(core.start - read.start, core.stop - read.start)
            for core, read in zip(self.core, self.read, strict=True)
        )
        return rows, columns


def pixels_within(memory_limit: int) -> int:
    """How many pixels, padding included, a pass may read within a ceiling in bytes."""
    return max(0, memory_limit - FIXED_MEMORY) // BYTES_A_PIXEL


def plan_tiles(rows: int, columns: int, pixels: int) -> list[Tile]:
    """Cut a slice so that no pass reads more than ``pixels``, reading as little twice as possible.

    Raises
    ------
    BackendError
        If even the smallest tile is larger.
    """
    if _padded(rows, columns) <= pixels:
        whole = (slice(0, rows), slice(0, columns))
        return [Tile(whole, whole)]
    best: tuple[int, int, int] | None = None
    for down in range(1, -(-rows // _CORE) + 1):
        height = _reach(rows, down)
        for across in range(1, -(-columns // _CORE) + 1):
            width = _reach(columns, across)
            read = down * height * across * width
            if _padded(height, width) <= pixels and (best is None or read < best[0]):
                best = (read, down, across)
    if best is None:
        side = _CORE + 2 * HALO
        least = FIXED_MEMORY + _padded(side, side) * BYTES_A_PIXEL
        raise BackendError(
            f"The memory ceiling is too low for this network; allow at least "
            f"{-(-least // 2**20)} MiB."
        )
    _, down, across = best
    return [
        Tile((_around(r, rows, down), _around(c, columns, across)), (r, c))
        for r in _parts(rows, down)
        for c in _parts(columns, across)
    ]


def _padded(rows: int, columns: int) -> int:
    return (rows + 2 * MARGIN) * (columns + 2 * MARGIN)


def _parts(length: int, count: int) -> list[slice]:
    edges = [length * k // count for k in range(count + 1)]
    return [slice(a, b) for a, b in pairwise(edges)]


def _reach(length: int, count: int) -> int:
    return min(length, -(-length // count) + 2 * HALO)


def _around(part: slice, length: int, count: int) -> slice:
    """A part with its halo. All are of one length, so that memory is used again as it is."""
    reach = _reach(length, count)
    start = min(max(0, part.start - HALO), length - reach)
    return slice(start, start + reach)


class NetworkRunner:
    """A network on its backend, fed with numpy volumes.

    Parameters
    ----------
    network : DDLR
        On the CPU in float32, as it was loaded.
    backend : Backend
        Where it runs.
    memory_limit : int
        Bytes that it may hold beside the volumes; at least 76 MiB.
    """

    def __init__(self, network: DDLR, backend: Backend, memory_limit: int = DEFAULT_MEMORY) -> None:
        self._backend = backend
        self._pixels = pixels_within(memory_limit)
        self._network = network.to(backend.device)
        self._folded = None
        if backend.dtype == "bfloat16":
            passes = load() if backend.device == "cpu" else None
            self._folded = FoldedDDLR(self._network, torch.bfloat16, passes)
        keep_freed_memory(
            is_emulated=backend.dtype == "bfloat16" and not has_bfloat16(backend.device)
        )

    def __call__(self, images: Floats, sigma: Floats, progress: Progress | None = None) -> Floats:
        """Denoise a stack of slices.

        Parameters
        ----------
        images, sigma : ndarray of float32
            (slices, rows, columns): the images and their noise maps.
        progress : callable, optional
            Called with (slices done, slices in all).

        Returns
        -------
        ndarray of float32
            (slices, rows, columns).
        """
        slices, rows, columns = images.shape
        tiles = plan_tiles(rows, columns, self._pixels)
        batch = 1
        if len(tiles) == 1:
            most = min(self._pixels, _MOST_PIXELS_A_BATCH[self._backend.device])
            batch = max(1, most // _padded(rows, columns))
        out = np.empty(images.shape, dtype=np.float32)
        for start in range(0, slices, batch):
            some = slice(start, min(start + batch, slices))
            for tile in tiles:
                done = self._pass(images[(some, *tile.read)], sigma[(some, *tile.read)])
                out[(some, *tile.core)] = done[(slice(None), *tile.core_within)]
            if progress is not None:
                progress(some.stop, slices)
        return out

    def _pass(self, images: Floats, sigma: Floats) -> Floats:
        """(n, rows, columns) images and noise maps → denoised images, all at once."""
        device = self._backend.device
        image = torch.from_numpy(np.ascontiguousarray(images))[:, None].to(device)
        level = torch.from_numpy(_shortest(sigma))[:, None].to(device)
        with torch.inference_mode(), _reproducible():
            # What is folded divides by the noise level; where there is none, the reference runs.
            run = self._network if self._folded is None or level.min() <= 0 else self._folded
            out = run(image, level)
        return np.asarray(out[:, 0].cpu().numpy(), dtype=np.float32)


def _shortest(sigma: Floats) -> Floats:
    """One number where the map is one number, for all slices or for each: less to compute with."""
    levels = sigma.reshape(len(sigma), -1).min(axis=1)
    if not (levels == sigma.reshape(len(sigma), -1).max(axis=1)).all():
        return np.ascontiguousarray(sigma)
    return (levels[:1] if (levels == levels[0]).all() else levels).reshape(-1, 1, 1)


@contextmanager
def _reproducible() -> Iterator[None]:
    """The same answer every time on a GPU, and no shortened float32 there."""
    with torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    ):
        yield
