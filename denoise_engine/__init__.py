"""Volumes in, volumes out: denoising reconstruction, simulation of accelerated scans, training.

Knows nothing of the platform around it. Importing the package is cheap; torch is loaded with the
first name that needs it.

>>> from denoise_engine import load_method
>>> denoise = load_method("ddlr")
>>> y = denoise(x, noise_sd=None, strength=1.0)  # doctest: +SKIP
>>> y = denoise(x, target_snr_gain=1.7)  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import denoise_engine.runtime  # noqa: F401 - sets what torch reads from the environment when loaded
from denoise_engine.errors import (
    BackendError,
    EngineError,
    ModelError,
    NoiseOutOfRangeError,
    SimulationError,
    StrengthError,
    TrainingDataError,
    UntrustedNoiseError,
    UnusableVolumeError,
)

if TYPE_CHECKING:
    from denoise_engine.denoiser import DenoiseResult, denoise, denoise_at_strengths
    from denoise_engine.methods import Method, available_methods, load_method
    from denoise_engine.models import available_models
    from denoise_engine.noise import NoiseEstimate, estimate_noise
    from denoise_engine.simulation import SimulationResult, simulate_acquisition
    from denoise_engine.strength import Blend, Full, Strength, TargetSnrGain

_WHERE = {
    "Blend": "strength",
    "DenoiseResult": "denoiser",
    "Full": "strength",
    "Method": "methods",
    "NoiseEstimate": "noise",
    "SimulationResult": "simulation",
    "Strength": "strength",
    "TargetSnrGain": "strength",
    "available_methods": "methods",
    "available_models": "models",
    "denoise": "denoiser",
    "denoise_at_strengths": "denoiser",
    "estimate_noise": "noise",
    "load_method": "methods",
    "simulate_acquisition": "simulation",
}

__all__ = [
    "BackendError",
    "Blend",
    "DenoiseResult",
    "EngineError",
    "Full",
    "Method",
    "ModelError",
    "NoiseEstimate",
    "NoiseOutOfRangeError",
    "SimulationError",
    "SimulationResult",
    "Strength",
    "StrengthError",
    "TargetSnrGain",
    "TrainingDataError",
    "UntrustedNoiseError",
    "UnusableVolumeError",
    "available_methods",
    "available_models",
    "denoise",
    "denoise_at_strengths",
    "estimate_noise",
    "load_method",
    "simulate_acquisition",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'denoise_engine' has no attribute '{name}'")
    return getattr(import_module(f"denoise_engine.{_WHERE[name]}"), name)
