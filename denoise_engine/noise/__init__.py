"""Noise of a magnitude image: its level, its map, its bias, and the grid it was acquired on."""

from denoise_engine.noise.bias import correct_bias, magnitude_mean
from denoise_engine.noise.checks import checked_volume
from denoise_engine.noise.level import Confidence, NoiseEstimate, estimate_noise

__all__ = [
    "Confidence",
    "NoiseEstimate",
    "checked_volume",
    "correct_bias",
    "estimate_noise",
    "magnitude_mean",
]
