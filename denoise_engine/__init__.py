"""Volumes in, volumes out: denoising reconstruction, simulation of accelerated scans, training.

Knows nothing of the platform around it. Importing the package is cheap; torch is loaded with the
first name that needs it.

>>> import denoise_engine
>>> result = denoise_engine.denoise(volume, strength=denoise_engine.TargetSnrGain(1.7))
... # doctest: +SKIP
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
    from denoise_engine.models import available_models
    from denoise_engine.noise import NoiseEstimate, estimate_noise
    from denoise_engine.simulation import SimulationResult, simulate_acquisition
    from denoise_engine.strength import Blend, Full, Strength, TargetSnrGain

_WHERE = {
    "Blend": "strength",
    "DenoiseResult": "denoiser",
    "Full": "strength",
    "NoiseEstimate": "noise",
    "SimulationResult": "simulation",
    "Strength": "strength",
    "TargetSnrGain": "strength",
    "available_models": "models",
    "denoise": "denoiser",
    "denoise_at_strengths": "denoiser",
    "estimate_noise": "noise",
    "simulate_acquisition": "simulation",
}

__all__ = [
    "BackendError",
    "Blend",
    "DenoiseResult",
    "EngineError",
    "Full",
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
    "available_models",
    "denoise",
    "denoise_at_strengths",
    "estimate_noise",
    "simulate_acquisition",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'denoise_engine' has no attribute '{name}'")
    return getattr(import_module(f"denoise_engine.{_WHERE[name]}"), name)
