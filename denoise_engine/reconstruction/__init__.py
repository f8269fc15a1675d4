"""From k-space to images: regularised SENSE, compressed sensing and an unrolled network.

Importing the package is cheap; torch is loaded with the first name that needs it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from denoise_engine.reconstruction.pipeline import (
        RECONSTRUCTION_METHODS,
        ReconstructionMethod,
        reconstruct,
    )
    from denoise_engine.reconstruction.result import ReconstructionResult

_WHERE = {
    "RECONSTRUCTION_METHODS": "pipeline",
    "ReconstructionMethod": "pipeline",
    "ReconstructionResult": "result",
    "reconstruct": "pipeline",
}

__all__ = [
    "RECONSTRUCTION_METHODS",
    "ReconstructionMethod",
    "ReconstructionResult",
    "reconstruct",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'denoise_engine.reconstruction' has no attribute '{name}'")
    return getattr(import_module(f"denoise_engine.reconstruction.{_WHERE[name]}"), name)
