"""Error of an image apart: what changes from scan to scan, and what does not."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from denoise_engine.errors import UnusableVolumeError
from denoise_engine.metrics import BoolArray


@dataclass(frozen=True)
class ErrorParts:
    """Root mean square errors inside the body, in the unit of the images.

    Attributes
    ----------
    noise : float
        SD over the replicas: what another scan would show differently.
    artifact : float
        Difference of the mean of infinitely many replicas from the reference: blur, streaks,
        aliasing, and the bias of magnitude noise.
    total : float
        RMSE; total² = noise² + artifact².
    """

    noise: float
    artifact: float
    total: float


def split_error(outputs: ArrayLike, reference: ArrayLike, body: BoolArray) -> ErrorParts:
    """Split the error of replicas of one image into noise and artifact.

    The mean of few replicas still holds noise, which would count as artifact; its expectation,
    noise² over the number of replicas, is taken off. Replicas must differ in noise alone: with
    another sampling pattern in each, streaks would count as noise.

    Parameters
    ----------
    outputs : array_like
        (replicas, slices, rows, columns), at least two replicas.
    reference : array_like
        (slices, rows, columns), same unit, without noise.
    body : ndarray of bool
        (slices, rows, columns): where to measure.

    Returns
    -------
    ErrorParts

    Raises
    ------
    UnusableVolumeError
        If the shapes do not fit, there are fewer than two replicas, or the body is empty.
    """
    replicas = np.asarray(outputs, dtype=np.float64)
    truth = np.asarray(reference, dtype=np.float64)
    if replicas.ndim != 4 or replicas.shape[1:] != truth.shape or body.shape != truth.shape:
        raise UnusableVolumeError(
            "Replicas must be replicas × slices × rows × columns, reference and body slices × rows "
            f"× columns; these are {replicas.shape}, {truth.shape} and {body.shape}."
        )
    if len(replicas) < 2:
        raise UnusableVolumeError("At least two replicas are needed to tell noise from artifact.")
    if not body.any():
        raise UnusableVolumeError("The body is empty: there is nowhere to measure the error.")
    inside = replicas[:, body]
    noise = float(np.mean(np.var(inside, axis=0, ddof=1)))
    of_mean = float(np.mean(np.square(inside.mean(axis=0) - truth[body])))
    artifact = max(of_mean - noise / len(replicas), 0.0)
    total = float(np.mean(np.square(inside - truth[body])))
    return ErrorParts(float(np.sqrt(noise)), float(np.sqrt(artifact)), float(np.sqrt(total)))
