"""Regularised SENSE for any sampling, by conjugate gradients on a batch of slices."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from denoise_engine.reconstruction.operators import CartesianEncoding

TOLERANCE = 1e-5
MOST_STEPS = 200


@dataclass(frozen=True)
class Stopping:
    """When conjugate gradients end.

    Attributes
    ----------
    tolerance : float
        Norm of the residual over that of the right-hand side, in every slice.
    most_steps : int
        Or after so many steps, whichever is first.
    """

    tolerance: float = TOLERANCE
    most_steps: int = MOST_STEPS


@dataclass(frozen=True)
class Solved:
    """A solution, and how it was reached."""

    image: Tensor
    steps: int
    residual: float


def conjugate_gradients(
    normal: Callable[[Tensor], Tensor],
    wanted: Tensor,
    *,
    start: Tensor | None = None,
    stopping: Stopping | None = None,
) -> Solved:
    """Solve Ax = b for a Hermitian positive definite A, each slice of a batch by itself.

    Parameters
    ----------
    normal : callable
        A, from (slices, rows, columns) to the same.
    wanted : Tensor
        b, (slices, rows, columns) complex64.
    start : Tensor, optional
        Where to begin; 0 by default.
    stopping : Stopping, optional
        When to end. Slices that are done stand still while the others go on.

    References
    ----------
    Hestenes MR, Stiefel E. Methods of conjugate gradients for solving linear systems. J Res Natl
    Bur Stand 1952;49:409-436.
    """
    stopping = stopping or Stopping()
    image = torch.zeros_like(wanted) if start is None else start
    rest = wanted.clone() if start is None else wanted - normal(image)
    size = _energy(wanted).clamp_min(torch.finfo(torch.float32).tiny)
    direction, energy, steps = rest, _energy(rest), 0
    while steps < stopping.most_steps:
        open_slices = energy > stopping.tolerance**2 * size
        if not bool(open_slices.any()):
            break
        image_of_direction = normal(direction)
        curvature = _product(direction, image_of_direction)
        length = torch.where(open_slices, energy / curvature.clamp_min(1e-30), 0)
        image = image + length * direction
        rest = rest - length * image_of_direction
        previous, energy = energy, _energy(rest)
        ratio = torch.where(open_slices, energy / previous.clamp_min(1e-30), 0)
        direction = rest + ratio * direction
        steps += 1
    return Solved(image, steps, float((energy / size).sqrt().max()))


class NormalEquations:
    """The normal equations of a batch of slices under any sampling; as ``AliasGroups``, iterated.

    Parameters
    ----------
    encoding : CartesianEncoding
        E, for whitened data, with EᴴE ≤ 1.
    projection : Tensor
        Eᴴy, (slices, rows, columns) complex64.
    stopping : Stopping, optional
        Of each solution.
    """

    def __init__(
        self, encoding: CartesianEncoding, projection: Tensor, stopping: Stopping | None = None
    ) -> None:
        self.encoding = encoding
        self._seen = projection
        self._stopping = stopping or Stopping()
        self.steps: list[int] = []

    def solve(self, mu: Tensor | float, prior: Tensor | None = None) -> Tensor:
        """Minimise ‖Ex − y‖² + μ‖x − z‖², beginning at the prior: (slices, rows, columns)."""
        wanted = self._seen if prior is None else self._seen + mu * prior
        solved = conjugate_gradients(
            lambda image: self.encoding.normal(image) + mu * image,
            wanted,
            start=prior,
            stopping=self._stopping,
        )
        self.steps.append(solved.steps)
        return solved.image


def _product(a: Tensor, b: Tensor) -> Tensor:
    return (a.conj() * b).sum(dim=(-2, -1), keepdim=True).real


def _energy(a: Tensor) -> Tensor:
    return torch.view_as_real(a).square().sum(dim=(-3, -2, -1)).unsqueeze(-1).unsqueeze(-1)
