"""Wavelet-LASSO compressed sensing by FISTA."""

import warnings

import numpy as np
import pywt
import torch
from numpy.typing import NDArray
from torch import Tensor

from denoise_engine.reconstruction.operators import CartesianEncoding

WAVELET, LEVELS = "db4", 4
# On a matrix below 112 the filters are longer than the coarsest image. A periodic transform stays
# orthonormal all the same, and a user can do nothing with the warning.
warnings.filterwarnings("ignore", message="Level value of", category=UserWarning, module="pywt")


def soft_threshold_wavelets(
    image: NDArray[np.complex64], threshold: float, *, shift: tuple[int, int] = (0, 0)
) -> NDArray[np.complex64]:
    """Shrink the magnitude of the complex wavelet details of an image by ``threshold``.

    The proximal operator of threshold·‖Ψx‖₁ for the orthonormal periodic Daubechies-4 transform.

    Parameters
    ----------
    image : ndarray of complex64
        (…, rows, columns).
    threshold : float
        In the unit of the image.
    shift : tuple of int
        Circular shift under which the transform is taken. Another shift at each iteration
        averages out the blocks that a fixed dyadic grid prints on the image.
    """
    step = 2**LEVELS
    rows, columns = image.shape[-2:]
    padding = [(0, 0)] * (image.ndim - 2) + [(0, -rows % step), (0, -columns % step)]
    shifted = np.pad(np.roll(image, shift, axis=(-2, -1)), padding, mode="wrap")
    coefficients = pywt.wavedec2(shifted, WAVELET, mode="periodization", level=LEVELS)
    for level in range(1, LEVELS + 1):
        coefficients[level] = tuple(_shrink(band, threshold) for band in coefficients[level])
    shrunk = pywt.waverec2(coefficients, WAVELET, mode="periodization")[..., :rows, :columns]
    back = np.roll(shrunk, (-shift[0], -shift[1]), axis=(-2, -1))
    return np.asarray(back, dtype=np.complex64)


def fista(
    encoding: CartesianEncoding,
    samples: Tensor,
    *,
    penalty: float,
    steps: int,
    rng: np.random.Generator,
    tolerance: float = 0.0,
) -> Tensor:
    """Minimise ½‖Ex − y‖² + penalty·‖Ψx‖₁.

    Parameters
    ----------
    encoding : CartesianEncoding
        E, with EᴴE ≤ 1.
    samples : Tensor
        y, (…, coils, rows, columns) complex64.
    penalty : float
        In the unit of the image.
    steps : int
        Largest number of iterations.
    tolerance : float
        End when an iteration changes no slice by more than this share of its norm; 0: never.
    rng : numpy.random.Generator
        Draws the shift of the wavelet grid at each iteration.

    Returns
    -------
    Tensor
        x, (…, rows, columns) complex64.

    References
    ----------
    Beck A, Teboulle M. A fast iterative shrinkage-thresholding algorithm. SIAM J Imaging Sci
    2009;2:183-202.
    """
    start = encoding.adjoint(samples)
    estimate, point, momentum = start, start, 1.0
    seen = _seen(encoding)
    for _ in range(steps):
        descent = point - encoding.adjoint(encoding.forward(point)) + start
        shift = (int(rng.integers(2**LEVELS)), int(rng.integers(2**LEVELS)))
        shrunk = soft_threshold_wavelets(descent.numpy(), penalty, shift=shift)
        improved = torch.from_numpy(shrunk)
        if seen is not None:
            improved = improved * seen
        following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        point = improved + ((momentum - 1) / following) * (improved - estimate)
        change = _norm(improved - estimate) if tolerance else None
        estimate, momentum = improved, following
        if change is not None and bool((change <= tolerance * _norm(estimate)).all()):
            break
    return estimate


def _seen(encoding: CartesianEncoding) -> Tensor | None:
    """Where any coil sees something; None if everywhere.

    Elsewhere no datum holds the image, and the shifting wavelets would carry structure there.
    """
    seen = encoding.sensitivities.coils.abs().amax(dim=-3) > 0
    return None if bool(seen.all()) else seen


def _norm(image: Tensor) -> Tensor:
    return torch.linalg.vector_norm(image, dim=(-2, -1))


def _shrink(values: NDArray[np.complex64], threshold: float) -> NDArray[np.complex64]:
    magnitude = np.abs(values)
    scale = np.maximum(magnitude - threshold, 0) / np.maximum(magnitude, 1e-30)
    return np.asarray(values * scale, dtype=np.complex64)
