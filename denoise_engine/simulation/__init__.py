"""Accelerated acquisitions simulated through k-space from an image."""

from denoise_engine.simulation.acquisition import (
    PROTOCOLS,
    Protocol,
    SimulationResult,
    simulate_acquisition,
)

__all__ = ["PROTOCOLS", "Protocol", "SimulationResult", "simulate_acquisition"]
