"""Accelerated acquisitions simulated through k-space from an image."""

from denoise_engine.simulation.acquisition import (
    PROTOCOLS,
    Protocol,
    ProtocolName,
    SimulationResult,
    simulate_acquisition,
)

__all__ = ["PROTOCOLS", "Protocol", "ProtocolName", "SimulationResult", "simulate_acquisition"]
