"""Denoising methods behind one interface: the trained networks, and comparators of the field.

>>> from denoise_engine.methods import load_method
>>> denoise = load_method("ddlr")
>>> denoised = denoise(volume, target_snr_gain=1.7)  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from denoise_engine.methods.registry import Method, available_methods, load_method

__all__ = ["Method", "available_methods", "load_method"]


def __getattr__(name: str) -> Any:
    # Loaded when asked for: a method is built on ``denoise``, which is built on the filters here.
    if name not in __all__:
        raise AttributeError(f"module 'denoise_engine.methods' has no attribute '{name}'")
    return getattr(import_module("denoise_engine.methods.registry"), name)
