"""A template laid onto a head: affine, by the correlation of intensities.

Enough to carry tissue priors over; nothing else is asked of it. Both are T1-weighted whole heads,
so that plain correlation will do. It is weighted by where the template has brain.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

Floats = NDArray[np.float32]
Affine = NDArray[np.float64]

_STAGES = ((8.0, 160), (4.0, 80))  # grid in mm, steps


@dataclass(frozen=True)
class Placement:
    """Where a template lies in a head.

    Attributes
    ----------
    matrix : ndarray
        (4, 4), mm of the head to mm of the template.
    correlation : float
        Of the intensities where the template has brain, −1 to 1.
    """

    matrix: Affine
    correlation: float

    def carry(
        self, template: Floats, template_affine: Affine, shape: tuple[int, ...], affine: Affine
    ) -> Floats:
        """Resample a volume of the template's space onto the grid of the head, linearly."""
        to_template = np.linalg.inv(template_affine) @ self.matrix @ affine
        carried: Floats = ndimage.affine_transform(
            template.astype(np.float32),
            to_template[:3, :3],
            to_template[:3, 3],
            output_shape=shape,
            order=1,
        )
        return carried


def register(
    template: Floats,
    template_affine: Affine,
    brain: NDArray[np.bool_],
    head: Floats,
    head_affine: Affine,
) -> Placement:
    """Lay a template onto a head.

    Parameters
    ----------
    template : ndarray of float32
        A whole head, T1-weighted.
    template_affine, head_affine : ndarray
        (4, 4), from array indices to mm.
    brain : ndarray of bool
        Where the template has brain.
    head : ndarray of float32
    """
    weight = ndimage.gaussian_filter(
        ndimage.binary_dilation(brain, iterations=4).astype(np.float32), 2
    )
    start = _middle(head, head_affine)
    anchor = _middle(template, template_affine)
    # Parameters: shift in 10 mm, then the departure of the 3 × 3 part from the identity, in tenths.
    parameters = torch.zeros(12, requires_grad=True)
    correlation = torch.zeros(())
    for grid, steps in _STAGES:
        fixed, points = _coarse(template, template_affine, grid)
        wanted, _ = _coarse(weight, template_affine, grid)
        moving = _smooth(head, head_affine, grid)
        to_index = torch.from_numpy(np.linalg.inv(head_affine)).float()
        optimiser = torch.optim.Adam([parameters], lr=0.05 if grid > 5 else 0.02)
        for _ in range(steps):
            optimiser.zero_grad()
            sampled = _sample(moving, to_index, _moved(points, parameters, anchor, start))
            correlation = _correlation(sampled, fixed, wanted)
            (1 - correlation).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    with torch.no_grad():
        linear = np.eye(3) + 0.1 * parameters[3:].reshape(3, 3).double().numpy()
        shift = 10 * parameters[:3].double().numpy()
    forward = np.eye(4)
    forward[:3, :3] = linear
    forward[:3, 3] = start + shift - linear @ anchor
    return Placement(
        np.asarray(np.linalg.inv(forward), dtype=np.float64), float(correlation.detach())
    )


def _moved(points: Tensor, parameters: Tensor, anchor: Affine, start: Affine) -> Tensor:
    linear = torch.eye(3) + 0.1 * parameters[3:].reshape(3, 3)
    centred = points - torch.from_numpy(anchor).float()
    return centred @ linear.T + torch.from_numpy(start).float() + 10 * parameters[:3]


def _coarse(volume: Floats, affine: Affine, grid: float) -> tuple[Tensor, Tensor]:
    """Return a smoothed volume at points about ``grid`` mm apart, and the points in mm."""
    smooth = _smooth(volume, affine, grid)
    steps = [max(1, round(grid / s)) for s in np.linalg.norm(affine[:3, :3], axis=0)]
    indices = np.stack(
        np.meshgrid(
            *[np.arange(0, n, step) for n, step in zip(volume.shape, steps, strict=True)],
            indexing="ij",
        ),
        axis=-1,
    ).reshape(-1, 3)
    points = indices @ affine[:3, :3].T + affine[:3, 3]
    values = smooth.numpy()[tuple(indices.T)]
    return torch.from_numpy(values), torch.from_numpy(points).float()


def _smooth(volume: Floats, affine: Affine, grid: float) -> Tensor:
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    return torch.from_numpy(ndimage.gaussian_filter(volume, 0.5 * grid / spacing))


def _sample(volume: Tensor, to_index: Tensor, points: Tensor) -> Tensor:
    index = points @ to_index[:3, :3].T + to_index[:3, 3]
    size = torch.tensor(volume.shape, dtype=torch.float32)
    places = (2 * index / (size - 1) - 1).flip(-1)
    sampled = F.grid_sample(
        volume[None, None], places[None, None, None], align_corners=True, mode="bilinear"
    )
    return sampled.reshape(-1)


def _correlation(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    share = weight / weight.sum()
    a, b = a - (share * a).sum(), b - (share * b).sum()
    spread = ((share * a * a).sum() * (share * b * b).sum()).clamp_min(1e-12)
    return (share * a * b).sum() / spread.sqrt()


def _middle(volume: Floats, affine: Affine) -> Affine:
    """Return a point well inside the brain, in mm: 65 mm below the vertex, amid the head there."""
    bright = volume > 0.25 * float(np.percentile(volume, 99))
    indices = np.argwhere(ndimage.binary_opening(bright, iterations=2))
    points = indices @ affine[:3, :3].T + affine[:3, 3]
    vertex = float(np.percentile(points[:, 2], 99.8))
    near = points[(points[:, 2] < vertex - 25) & (points[:, 2] > vertex - 80)]
    middle = (np.percentile(near[:, :2], 1, axis=0) + np.percentile(near[:, :2], 99, axis=0)) / 2
    return np.array([*middle, vertex - 65])
