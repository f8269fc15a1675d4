"""Real lumbar slices, small enough for a network on a CPU."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

LUMBAR = Path(__file__).parents[2] / "readerstudy" / "demo" / "data" / "lumbar"


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """On a busy machine threads wait for each other longer than they compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def lumbar() -> NDArray[np.float32]:
    """Two slices of 128 × 128 pixels: vertebrae, discs, the canal, and dark air-like background."""
    with np.load(LUMBAR / "V04.npz") as stored:
        return stored["volume"][2:4, 230:358, 100:228].astype(np.float32)


@pytest.fixture(scope="session")
def noisy_lumbar(lumbar: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """The same with Rician noise of known SD."""
    sigma = 7.0
    rng = np.random.default_rng(5)
    real, imaginary = rng.standard_normal((2, *lumbar.shape)) * sigma
    return np.hypot(lumbar + real, imaginary).astype(np.float32), sigma
