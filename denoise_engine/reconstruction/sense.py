"""Regularised SENSE: data consistency, and a quadratic term toward a prior image.

    x = argmin ‖Ex − y‖² + μ‖x − z‖²,   μ = 1 / (4λ²)

On whitened data with EᴴE ≤ 1, noise of the data reaches x along each direction with the factor
s / (s² + μ), s a singular value of E, at most 1 / (2√μ) = λ: λ bounds the noise amplification. A
small λ stays near z, a large one goes to plain SENSE.
"""

import math

import torch
from torch import Tensor

from denoise_engine.errors import ReconstructionError
from denoise_engine.reconstruction.alias_groups import AliasGroups, Lattice, columns_of
from denoise_engine.reconstruction.calibration import SamplingPattern
from denoise_engine.reconstruction.conjugate_gradients import NormalEquations, Stopping
from denoise_engine.reconstruction.noise_maps import replica_noise
from denoise_engine.reconstruction.operators import CartesianEncoding

REPLICAS = 8
# Columns are solved at once up to so many matrix entries a slice (320 × 320 pixels, 250 MiB).
MOST_ENTRIES = 1 << 25


def weight_of(bound: float) -> float:
    """Return μ for a bound λ of the noise amplification.

    Raises
    ------
    ReconstructionError
        If the bound is no number above 0.
    """
    if not (math.isfinite(bound) and bound > 0):
        raise ReconstructionError(
            f"The bound λ of the noise amplification must be a number above 0, not {bound}."
        )
    return 1 / (4 * bound**2)


class IteratedStep(NormalEquations):
    """SENSE steps by conjugate gradients, with the noise of each: for the unrolled network.

    Where samples are uniform but for a full centre, the noise is that of the uniform ones (exact),
    scaled by the share of k-space that the centre fills in. For other sampling it comes from
    replicas.

    Parameters
    ----------
    encoding : CartesianEncoding
        E.
    samples : Tensor
        y, (slices, coils, rows, columns).
    pattern : SamplingPattern
        The sampling.
    stopping : Stopping, optional
        Of each solution.
    """

    def __init__(
        self,
        encoding: CartesianEncoding,
        samples: Tensor,
        pattern: SamplingPattern,
        stopping: Stopping | None = None,
    ) -> None:
        projection = encoding.adjoint(samples)
        super().__init__(encoding, projection, stopping)
        self._shape = samples
        self._share = math.sqrt(pattern.lattice_share)
        self._lattice = (
            None
            if pattern.lattice is None
            else AliasGroups(
                encoding.sensitivities.coils, torch.zeros_like(projection), pattern.lattice
            )
        )

    def noise(self, mu: Tensor | float) -> Tensor:
        """Return the noise SD of the solution in units of that of the data."""
        if self._lattice is not None:
            return self._lattice.noise(mu) * self._share

        def solve(noise: Tensor) -> Tensor:
            blank = NormalEquations(self.encoding, self.encoding.adjoint(noise), self._stopping)
            return blank.solve(mu)

        return replica_noise(solve, self._shape, self.encoding.sampled, replicas=REPLICAS)


def sense_step(
    encoding: CartesianEncoding,
    samples: Tensor,
    pattern: SamplingPattern,
    stopping: Stopping | None = None,
) -> AliasGroups | IteratedStep:
    """Return the solver that fits the sampling.

    Exact by alias groups for uniform sampling, by columns for other lines; iterated otherwise.
    """
    groups = exact_groups(pattern, (int(samples.shape[-2]), int(samples.shape[-1])))
    if groups is not None:
        return AliasGroups(encoding.sensitivities.coils, encoding.adjoint(samples), groups)
    return IteratedStep(encoding, samples, pattern, stopping)


def exact_groups(pattern: SamplingPattern, matrix: tuple[int, int]) -> Lattice | None:
    """Return the groups of pixels by which a sampling is solved exactly, if there are such."""
    if pattern.exact:
        return pattern.lattice
    if pattern.mask.ndim == 1 and matrix[0] ** 2 * matrix[1] <= MOST_ENTRIES:
        return columns_of(pattern.mask, matrix)
    return None
