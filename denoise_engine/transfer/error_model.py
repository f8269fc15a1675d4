"""How large an error is to be expected at each voxel: the second look at a network's image.

The variance that a network gives beside its mean is learnt together with it, from few patches, and
knows little of what decides errors most: how far a voxel lies from the centre of a measured slice,
and how much the head varies around it at several scales. A small network that looks at one voxel
after another learns the variance anew, from these measures and the first variance, with the image
frozen. It is fitted by the likelihood of a Gaussian on the training heads, and calibrated on the
validation head like any variance.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

Floats = NDArray[np.float32]

PREFIX = "error_model."  # of its weights in the file of a network
_HIDDEN = (32, 16)
_SLAB = 32  # slices at once
REACH = 15  # voxels: as far as the widest measure looks
_HALO = REACH + 1  # slices around them
_LEAST = 0.01  # intensities are about 1; smaller differences are none
_NAMES = (
    "first variance",
    "distance from the slice centre",
    "factor",
    "intensity",
    "mean within 1 voxel",
    "mean within 3 voxels",
    "spread within 3 voxels",
    "spread within 6 voxels",
    "step along the slices",
    "step within the slice",
    "edge of 2 voxels",
    "bend along the slices",
    "blob of 2 voxels",
    "size of the correction",
)


class ErrorModel(nn.Module):
    """From measures of a voxel's surroundings to the logarithm of the variance of its error."""

    centre: Tensor
    spread: Tensor

    def __init__(self) -> None:
        super().__init__()
        first, second = _HIDDEN
        self.layers = nn.Sequential(
            nn.Linear(len(_NAMES), first),
            nn.LeakyReLU(0.05),
            nn.Linear(first, second),
            nn.LeakyReLU(0.05),
            nn.Linear(second, 1),
        )
        self.register_buffer("centre", torch.zeros(len(_NAMES)))
        self.register_buffer("spread", torch.ones(len(_NAMES)))

    def forward(self, measured: Tensor) -> Tensor:
        """Return the log variance, (voxels,), of what was measured, (voxels, measures)."""
        standard = ((measured - self.centre) / self.spread).clamp(-4, 4)
        found: Tensor = self.layers(standard)[:, 0]
        return found

    def variance(
        self, cubic: Floats, correction: Floats, first_variance: Floats, factor: int
    ) -> Floats:
        """Return the variance of the error at each voxel.

        Parameters
        ----------
        cubic, correction, first_variance : ndarray of float32
            (slices, rows, columns): interpolation, what a network adds to it, and the variance that
            it gives; intensities about 1.
        factor : int
        """
        found = np.empty(cubic.shape, dtype=np.float32)
        for first in range(0, len(cubic), _SLAB):
            start, stop = max(0, first - _HALO), min(len(cubic), first + _SLAB + _HALO)
            inner = slice(first - start, min(first + _SLAB, len(cubic)) - start)
            around = slice(start, stop)
            measures = measured_around(
                cubic[around], correction[around], first_variance[around], factor, start
            )
            rows = torch.from_numpy(measures[:, inner].reshape(len(measures), -1).T)
            with torch.no_grad():
                log_variance = self(rows).numpy()
            found[first : first + _SLAB] = np.exp(log_variance).reshape(measures[0, inner].shape)
        return found


def measured_around(
    cubic: Floats, correction: Floats, first_variance: Floats, factor: int, first_slice: int = 0
) -> Floats:
    """Return what the model looks at: (measures, slices, rows, columns).

    ``first_slice`` is the place of the first of these slices in the volume, on the fine grid.
    """
    image = cubic + correction
    place = (np.arange(len(image)) + first_slice) % factor
    off_centre = np.abs(place - (factor - 1) / 2) / max(factor / 2, 1)
    mean_1, mean_3 = (ndimage.gaussian_filter(image, sd, truncate=2.5) for sd in (1.0, 3.0))
    along = np.gradient(image, axis=0) if len(image) > 1 else np.zeros_like(image)
    within = np.hypot(*np.gradient(image, axis=(1, 2)))
    measures = (
        0.5 * np.log(first_variance),
        np.broadcast_to(off_centre[:, None, None], image.shape),
        np.full(image.shape, np.log2(factor)),
        image,
        mean_1,
        mean_3,
        _spread_within(image, mean_3, 3.0),
        _spread_within(image, ndimage.gaussian_filter(image, 6.0, truncate=2.5), 6.0),
        _log_of(ndimage.gaussian_filter(np.abs(along), 1.0, truncate=2.5)),
        _log_of(ndimage.gaussian_filter(within, 1.0, truncate=2.5)),
        _log_of(ndimage.gaussian_gradient_magnitude(image, 2.0, truncate=2.5)),
        ndimage.gaussian_filter1d(image, 3.0, axis=0, order=2, truncate=2.5),
        ndimage.gaussian_laplace(image, 2.0, truncate=2.5),
        _log_of(ndimage.gaussian_filter(np.abs(correction), 2.0, truncate=2.5)),
    )
    return np.stack([np.asarray(one, dtype=np.float32) for one in measures])


def error_model_in(weights: Mapping[str, Tensor]) -> ErrorModel | None:
    """Return the model that lies beside a network's weights, if there is one."""
    own = {k.removeprefix(PREFIX): v.float() for k, v in weights.items() if k.startswith(PREFIX)}
    if not own:
        return None
    model = ErrorModel()
    model.load_state_dict(own)
    return model.eval()


def _spread_within(image: Floats, mean: Floats, sd: float) -> Floats:
    squares = ndimage.gaussian_filter(np.square(image), sd, truncate=2.5) - np.square(mean)
    return _log_of(np.sqrt(np.maximum(squares, 0)))


def _log_of(values: Floats) -> Floats:
    return np.asarray(np.log(values + _LEAST), dtype=np.float32)
