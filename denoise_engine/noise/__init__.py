"""Noise of a magnitude image: its level, its map, its bias, and the grid it was acquired on."""

from denoise_engine.noise.bias import correct_bias, magnitude_mean
from denoise_engine.noise.checks import checked_volume
from denoise_engine.noise.level import Confidence, NoiseEstimate, estimate_noise
from denoise_engine.noise.maps import NoiseMap, estimate_noise_map
from denoise_engine.noise.native_grid import NativeGrid, find_native_grid, from_native, to_native

__all__ = [
    "Confidence",
    "NativeGrid",
    "NoiseEstimate",
    "NoiseMap",
    "checked_volume",
    "correct_bias",
    "estimate_noise",
    "estimate_noise_map",
    "find_native_grid",
    "from_native",
    "magnitude_mean",
    "to_native",
]
