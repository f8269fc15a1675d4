"""The passes between the convolutions, compiled for this processor.

Between two convolutions the library's own operations go through a layer of 12 MB four times;
`passes.cpp` goes through it once, and works out the DCT and its adjoint separably on the way. With
it little is left but the convolutions. It is built once for
a machine by ``python -m denoise_engine compile``, where there is a C++ compiler; a machine without
one runs the same network on the library's operations.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from denoise_engine.ddlr.dct import BLOCK, COMPONENTS, MARGIN
from denoise_engine.errors import BackendError

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


def library_path() -> Path:
    """Where the library for this source, processor and version of torch lies, built or not."""
    key = hashlib.sha256(SOURCE.read_bytes())
    key.update("\n".join((*_FLAGS, platform.machine(), _processor(), torch.__version__)).encode())
    return FOLDER / f"passes-{key.hexdigest()[:16]}.so"


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
        If there is no C++ compiler, or it fails; nothing is left behind.
    """
    path = library_path()
    if path.exists():
        return path
    compiler = shutil.which(os.environ.get("CXX", "c++"))
    if compiler is None:
        raise BackendError(
            "There is no C++ compiler on this machine (Debian: g++). The denoiser runs without, "
            "at about half the speed."
        )
    # torch brings an OpenMP of its own. A second one would keep a second set of threads.
    own = sorted((Path(torch.__file__).parent / "lib").glob("libgomp*.so*"))
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        made, library = Path(folder, "passes.o"), Path(folder, "passes.so")
        openmp = [str(path) for path in own] or ["-fopenmp"]
        for arguments in (
            [*_FLAGS, "-c", str(SOURCE), "-o", str(made)],
            ["-shared", str(made), *openmp, "-o", str(library)],
        ):
            done = subprocess.run([compiler, *arguments], capture_output=True, text=True)
            if done.returncode != 0:
                first = next((x for x in done.stderr.splitlines() if "error" in x), done.stderr)
                raise BackendError(f"{SOURCE.name} could not be compiled: {first.strip()}")
        library.replace(path)
    return path


@cache
def load() -> Passes | None:
    """The compiled passes, or None where they were not built."""
    path = library_path()
    return Passes(ctypes.CDLL(str(path))) if path.exists() else None


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
        self._call("analyse", padded, basis, scale, level, layer, mean, of=(layer, mean))
        return layer, mean

    def shrink(self, layer: Tensor, level: Tensor | None, mean: Tensor) -> None:
        """Soft shrinkage in place, by 1 or by the level of each window."""
        self._call("shrink_layer", layer, level, of=(layer, mean))

    def synthesise(self, layer: Tensor, mean: Tensor, basis: Tensor, scale: Tensor) -> Tensor:
        """The adjoint divided by the 49 windows of a pixel: → (n, 1, H − 12, W − 12)."""
        n, rows, columns = mean.shape
        image = torch.empty(n, 1, rows - MARGIN, columns - MARGIN)
        self._call("synthesise", layer, mean, basis, scale, image, of=(layer, mean))
        return image

    def _call(self, name: str, *tensors: Tensor | None, of: tuple[Tensor, Tensor]) -> None:
        layer, mean = of
        if not layer.is_contiguous(memory_format=torch.channels_last):
            raise BackendError("A layer has lost its memory layout; this is a fault of the engine.")
        shape = _Shape(*mean.shape, *layer.shape[-2:])
        pointers = [
            ctypes.c_void_p(None if tensor is None else _plain(tensor).data_ptr())
            for tensor in tensors
        ]
        getattr(self._library, name)(*pointers, ctypes.byref(shape))


def _plain(tensor: Tensor) -> Tensor:
    """Check that a tensor lies in memory as the compiled code reads it."""
    dense = tensor.is_contiguous() or tensor.is_contiguous(memory_format=torch.channels_last)
    if not dense or tensor.device.type != "cpu":
        raise BackendError("The compiled passes were given a tensor they cannot read.")
    return tensor


def dct_basis(kernels: Tensor) -> Tensor:
    """(7, 7): the one-dimensional basis of the DCT, from its two-dimensional kernels."""
    # Kernels (0, v) are basis v along the columns times the constant 1/√7 along the rows.
    return (kernels.reshape(BLOCK, BLOCK, BLOCK, BLOCK)[0, :, 0, :] * BLOCK**0.5).contiguous()
