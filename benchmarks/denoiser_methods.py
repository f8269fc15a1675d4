"""The denoisers of the benchmark behind one call: slice and noise SD in, slice out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from denoise_engine.methods.filters import open_filter
from denoise_engine.models import available_models
from denoise_engine.runtime import Precision

Slice = NDArray[np.float32]
Method = Callable[[Slice, "Slice | float"], Slice]


def peers() -> dict[str, Method]:
    """Every method by name; BM3D only where its package is installed.

    BM3D's licence allows non-commercial use alone, so that the platform does not depend on it:
    ``pip install bm3d==4.0.3``.
    """
    methods: dict[str, Method] = {
        "input": lambda image, sigma: image,
        "NLM": _engine("nlm", "float32"),
        "wavelet": _engine("wavelet", "float32"),
    }
    try:
        import bm3d
    except ImportError:
        print("BM3D is not installed (pip install bm3d==4.0.3): its rows are missing.")
    else:

        def run_bm3d(image: Slice, sigma: Slice | float) -> Slice:
            # BM3D knows white noise: a map is divided out, as for the other peers.
            level = np.asarray(sigma, dtype=np.float32)
            if level.ndim == 0:
                return np.asarray(bm3d.bm3d(image, float(level)), dtype=np.float32)
            return np.asarray(bm3d.bm3d(image / level, 1.0) * level, dtype=np.float32)

        methods["BM3D"] = run_bm3d
    methods["dDLR float32"] = _engine("ddlr", "float32")
    methods["dDLR bfloat16"] = _engine("ddlr", "bfloat16")
    for name in available_models():
        if name not in ("ddlr", "ddlr-1"):  # the former version is not judged again
            methods[name] = _engine(name, "float32")
    return methods


def _engine(name: str, precision: Precision) -> Method:
    run = open_filter(name, "cpu", precision)

    def method(image: Slice, sigma: Slice | float) -> Slice:
        level = np.array(np.broadcast_to(np.float32(sigma), image.shape))
        return run(image[None], level[None])[0]

    return method
