"""Where and how the network runs: device, number format, memory layout."""

import ctypes
import os
import platform
from dataclasses import dataclass
from typing import Literal

from denoise_engine.errors import BackendError

# Large pages speed the convolutions up by a third on Linux; torch reads this when it is loaded.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

# Between two layers the C library would give each 12-MB layer back to the system, and have it
# zeroed again page by page: a third of the time. What is freed stays for the next layer instead.
_KEEP_FREED = 256 * 2**20
# Kept so, memory may fall into pieces that are too small for the next layer. Where bfloat16 is
# emulated it sometimes did, by 300 MB, and passes are too slow there for the zeroing to count.
_KEEP_LITTLE = 2**20
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


def keep_freed_memory(*, is_emulated: bool = False) -> None:
    """Have glibc keep up to 256 MiB of freed memory for the next layer; elsewhere do nothing.

    Parameters
    ----------
    is_emulated : bool
        The processor has no instructions for the number format: next to nothing is kept.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    library = ctypes.CDLL(None)
    kept = _KEEP_LITTLE if is_emulated else _KEEP_FREED
    library.mallopt(_M_TRIM_THRESHOLD, kept)
    library.mallopt(_M_MMAP_THRESHOLD, kept)


def ran_out_of_memory(error: BaseException) -> bool:
    """Say whether an error means that the memory was not enough.

    torch tells it by a RuntimeError, on a GPU by a kind of that; only the text of the former says
    so.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    said = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc")
    return isinstance(error, RuntimeError) and any(words in str(error) for words in said)


Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class Backend:
    """What a result was computed on.

    The reference is eager float32 on a CPU in the plain layout: bit-identical whatever the number
    of threads. Every other backend lies within 0.05 of the noise SD of it (root mean square).
    ``layout`` ends in "compiled" where the passes built for this processor are in use.
    """

    device: str
    dtype: str
    layout: str

    def __str__(self) -> str:
        return f"{self.device}, {self.dtype}, {self.layout}"


REFERENCE = Backend(device="cpu", dtype="float32", layout="contiguous")


def choose_backend(device: Device = "auto", precision: Precision = "auto") -> Backend:
    """Settle on a backend.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda"}
        ``auto`` takes a GPU where there is one.
    precision : {"auto", "float32", "bfloat16"}
        ``auto`` takes bfloat16 where the device has instructions for it, float32 elsewhere.

    Raises
    ------
    BackendError
        If a GPU was demanded and there is none, or a name is unknown.
    """
    import torch

    if device not in ("auto", "cpu", "cuda"):
        raise BackendError(f"There is no device “{device}”; choose auto, cpu or cuda.")
    if precision not in ("auto", "float32", "bfloat16"):
        raise BackendError(
            f"There is no precision “{precision}”; choose auto, float32 or bfloat16."
        )
    has_gpu = torch.cuda.is_available()
    if device == "cuda" and not has_gpu:
        raise BackendError("A GPU was asked for, but none is available on this machine.")
    chosen = "cuda" if has_gpu and device != "cpu" else "cpu"
    dtype: str = precision
    if precision == "auto":
        dtype = "bfloat16" if has_bfloat16(chosen) else "float32"
    return Backend(device=chosen, dtype=dtype, layout=_layout(chosen, dtype))


def _layout(device: str, dtype: str) -> str:
    if dtype != "bfloat16":
        return "contiguous"
    from denoise_engine.ddlr.compiled import load

    return "channels-last" if device != "cpu" or load() is None else "channels-last, compiled"


def has_bfloat16(device: str) -> bool:
    """Say whether a device multiplies bfloat16 with instructions of its own.

    Without them it is emulated, and slower than float32.
    """
    import torch

    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if not torch.backends.mkldnn.is_available():
        return False
    features = torch.cpu.get_capabilities()
    return any(features.get(name, False) for name in ("avx512_bf16", "amx_bf16", "arm_bf16"))
