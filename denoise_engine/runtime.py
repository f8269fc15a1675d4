"""Where and how the network runs: device, number format, memory layout."""

import os
from dataclasses import dataclass
from typing import Literal

from denoise_engine.errors import BackendError

# Large pages speed the convolutions up by a third on Linux; torch reads this when it is loaded.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class Backend:
    """What a result was computed on.

    The reference is eager float32 on a CPU in the plain layout: bit-identical whatever the number
    of threads. bfloat16 differs from it by less than 0.1 of the noise SD (root mean square), most
    of it at strong edges.
    """

    device: str
    dtype: str
    layout: str

    def __str__(self) -> str:
        return f"{self.device}, {self.dtype}, {self.layout}"


def choose_backend(device: Device = "auto", precision: Precision = "float32") -> Backend:
    """Settle on a backend.

    Raises
    ------
    BackendError
        If a GPU was demanded and there is none, or a name is unknown.
    """
    import torch

    if device not in ("auto", "cpu", "cuda"):
        raise BackendError(f"There is no device “{device}”; choose auto, cpu or cuda.")
    if precision not in ("float32", "bfloat16"):
        raise BackendError(f"There is no precision “{precision}”; choose float32 or bfloat16.")
    has_gpu = torch.cuda.is_available()
    if device == "cuda" and not has_gpu:
        raise BackendError("A GPU was asked for, but none is available on this machine.")
    layout = "channels-last" if precision == "bfloat16" else "contiguous"
    chosen = "cuda" if has_gpu and device != "cpu" else "cpu"
    return Backend(device=chosen, dtype=precision, layout=layout)
