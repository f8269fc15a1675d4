"""The passes between the convolutions, compiled for this processor.

Between two convolutions the library's own operations go through a layer of 12 MB four times;
`passes.cpp` goes through it once, and works out the DCT and its adjoint separably on the way. With
it little is left but the convolutions. It is built once for a machine by
``python -m denoise_engine compile``, where there is a C++ compiler; a machine without one runs the
same network on the library's operations.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from denoise_engine.ddlr.dct import BLOCK, COMPONENTS, MARGIN
from denoise_engine.errors import BackendError

_log = logging.getLogger(__name__)

SOURCE = Path(__file__).with_name("passes.cpp")
FOLDER = Path(__file__).with_name("_build")
_FLAGS = (
    *("-std=c++17", "-fPIC", "-fopenmp", "-Wall", "-Wextra", "-O3", "-march=native"),
    # Without these the compiler shrinks one value at a time, or half as many as it could.
    *("-fno-trapping-math", "-ffinite-math-only", "-fno-signed-zeros"),
    *(["-mprefer-vector-width=512"] if platform.machine() == "x86_64" else []),
)
_CHANNELS = COMPONENTS - 1
# What matrix units work on well: whole tiles of 16 rows.
_ROUND_TO = 16


class _Shape(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_int64)
        for name in ("slices", "rows", "columns", "roomy_rows", "roomy_columns")
    ]


def library_path() -> Path | None:
    """The library that was built for this source, processor and version of torch, if there is one.

    The end of its name is a hash of what it holds: of a file that was cut short, loading would stop
    the program without a word.
    """
    for path in sorted(FOLDER.glob(f"passes-{_key()}-*.so")):
        try:
            if path.stem.endswith(_hash(path.read_bytes())):
                return path
            reason = "is damaged"
        except OSError as error:
            reason = f"cannot be read ({error.strerror})"
        _warn(path, reason)
    return None


def _warn(path: Path, reason: str) -> None:
    _log.warning(
        "“%s” %s. The denoiser runs without, at about half the speed; "
        "`python -m denoise_engine compile` builds it again.",
        path.name,
        reason,
    )


def _hash(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _key() -> str:
    words = (*_FLAGS, platform.machine(), _processor(), torch.__version__)
    return _hash(SOURCE.read_bytes(), "\n".join(words).encode())


def _processor() -> str:
    """The instructions this processor has: code for another one's would stop the program."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    named = (line for line in lines if line.lower().startswith(("flags", "features")))
    return next(named, platform.processor())


def build() -> Path:
    """Compile the passes for this machine; return the library, which may be there already.

    Raises
    ------
    BackendError
        If there is no C++ compiler, it fails, what it made cannot be loaded, or the folder of the
        engine cannot be written to; nothing is left behind.
    """
    path = library_path()
    if path is not None and _opened(path) is not None:
        return path
    asked = os.environ.get("CXX", "c++")
    command = shlex.split(asked)
    if not command or shutil.which(command[0]) is None:
        raise BackendError(
            f"There is no C++ compiler “{asked}” on this machine (Debian: g++). The denoiser runs "
            "without, at about half the speed."
        )
    try:
        FOLDER.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
            made = _compiled(command, Path(folder))
            path = FOLDER / f"passes-{_key()}-{_hash(made.read_bytes())}.so"
            made.replace(path)
    except OSError as error:
        raise BackendError(
            f"The compiled passes cannot be written to “{FOLDER}”: {error.strerror}. The denoiser "
            "runs without, at about half the speed."
        ) from error
    return path


def _compiled(compiler: list[str], folder: Path) -> Path:
    made, library = folder / "passes.o", folder / "passes.so"
    # torch brings an OpenMP of its own. A second one would keep a second set of threads.
    own = sorted((Path(torch.__file__).parent / "lib").glob("libgomp*.so*"))
    openmp = [str(path) for path in own] or ["-fopenmp"]
    environment = os.environ | {"LC_ALL": "C"}
    for arguments in (
        [*_FLAGS, "-c", str(SOURCE), "-o", str(made)],
        ["-shared", str(made), *openmp, "-o", str(library)],
    ):
        command = [*compiler, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        if done.returncode != 0:
            first = next((x for x in done.stderr.splitlines() if "error" in x), done.stderr)
            reason = first.strip() or f"{compiler[0]} ended with {done.returncode}"
            raise BackendError(f"{SOURCE.name} could not be compiled: {reason}")
    try:
        # Names that are missing, those of another compiler's OpenMP say, show up only here.
        ctypes.CDLL(str(library))
    except OSError as error:
        reason = str(error).removeprefix(f"{library}: ")
        raise BackendError(f"{SOURCE.name} was compiled, but cannot be loaded: {reason}") from error
    return library


def _opened(path: Path) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        _warn(path, f"cannot be loaded ({str(error).removeprefix(f'{path}: ')})")
        return None


@cache
def load() -> Passes | None:
    """The compiled passes, or None where they were not built, or with a warning are of no use."""
    path = library_path()
    library = None if path is None else _opened(path)
    return None if library is None else Passes(library)


class Passes:
    """The three passes, on tensors of a processor.

    A *layer* is bfloat16, (n, 48, rows, columns) channels last, with rows and columns of windows
    rounded up to multiples of 16.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library

    def analyse(
        self, padded: Tensor, basis: Tensor, scale: Tensor, level: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Sliding DCT and the first shrinkage: (n, 1, H, W) → layer, means (n, rows, columns).

        Parameters
        ----------
        padded : Tensor
            The image with its reflected border, float32.
        basis : Tensor
            (7, 7) float32, the one-dimensional DCT, a row a frequency.
        scale : Tensor
            (48,) float32, what each channel is multiplied by.
        level : Tensor or None
            (n, rows, columns) float32, thresholds; None where all are 1.
        """
        n, _, height, width = padded.shape
        rows, columns = height - MARGIN, width - MARGIN
        layer = torch.empty(
            (n, _CHANNELS, rows + -rows % _ROUND_TO, columns + -columns % _ROUND_TO),
            dtype=torch.bfloat16,
            memory_format=torch.channels_last,
        )
        mean = torch.empty(n, rows, columns)
        self._library.analyse(
            _pointer(padded, n, 1, height, width),
            _pointer(basis, BLOCK, BLOCK),
            _pointer(scale, _CHANNELS),
            _pointer(level, n, rows, columns),
            *_pointers(layer, mean),
        )
        return layer, mean

    def shrink(self, layer: Tensor, level: Tensor | None, mean: Tensor) -> None:
        """Soft shrinkage in place, by 1 or by the level of each window."""
        at, _, shape = _pointers(layer, mean)
        self._library.shrink_layer(at, _pointer(level, *mean.shape), shape)

    def synthesise(self, layer: Tensor, mean: Tensor, basis: Tensor, scale: Tensor) -> Tensor:
        """The adjoint divided by the 49 windows of a pixel: → (n, 1, H − 12, W − 12)."""
        n, rows, columns = mean.shape
        image = torch.empty(n, 1, rows - MARGIN, columns - MARGIN)
        at, means, shape = _pointers(layer, mean)
        self._library.synthesise(
            at,
            means,
            _pointer(basis, BLOCK, BLOCK),
            _pointer(scale, _CHANNELS),
            _pointer(image, *image.shape),
            shape,
        )
        return image


def _pointers(layer: Tensor, mean: Tensor) -> tuple[ctypes.c_void_p, ctypes.c_void_p, Any]:
    """Where a layer and its means lie, and their shape, which every other tensor has to fit."""
    n, rows, columns = mean.shape
    height, width = layer.shape[-2:]
    if (
        layer.shape[:2] != (n, _CHANNELS)
        or height < rows
        or width < columns
        or layer.dtype != torch.bfloat16
        or layer.device.type != "cpu"
        or not layer.is_contiguous(memory_format=torch.channels_last)
    ):
        raise BackendError("A layer has lost its shape or layout; this is a fault of the engine.")
    shape = _Shape(n, rows, columns, height, width)
    return ctypes.c_void_p(layer.data_ptr()), _pointer(mean, *mean.shape), ctypes.byref(shape)


def _pointer(tensor: Tensor | None, *shape: int) -> ctypes.c_void_p:
    """Where a tensor lies, if it is as the compiled code reads it, which checks nothing itself."""
    if tensor is None:
        return ctypes.c_void_p(None)
    if (
        tuple(tensor.shape) != shape
        or tensor.dtype != torch.float32
        or tensor.device.type != "cpu"
        or not tensor.is_contiguous()
    ):
        raise BackendError("The compiled passes were given a tensor they cannot read.")
    return ctypes.c_void_p(tensor.data_ptr())


def dct_basis(kernels: Tensor) -> Tensor:
    """(7, 7): the one-dimensional basis of the DCT, from its two-dimensional kernels."""
    # Kernels (0, v) are basis v along the columns times the constant 1/√7 along the rows.
    return (kernels.reshape(BLOCK, BLOCK, BLOCK, BLOCK)[0, :, 0, :] * BLOCK**0.5).contiguous()
