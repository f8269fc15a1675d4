"""The 7×7 discrete cosine transform as a convolution, and its adjoint as a deconvolution."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCK = 7
COMPONENTS = BLOCK * BLOCK
MARGIN = BLOCK - 1


def dct_kernels(block: int = BLOCK) -> Tensor:
    """Return the orthonormal two-dimensional DCT-II basis.

    Returns
    -------
    Tensor
        Shape (block², 1, block, block), float64. Component 0 is the zero frequency. The
        basis is orthonormal, so white noise of SD s has SD s in every component.
    """
    n = torch.arange(block, dtype=torch.float64)
    rows = torch.cos(math.pi * (n[None, :] + 0.5) * n[:, None] / block) * math.sqrt(2.0 / block)
    rows[0] /= math.sqrt(2.0)
    basis = torch.einsum("ui,vj->uvij", rows, rows)
    return basis.reshape(block * block, 1, block, block)


class SlidingDCT(nn.Module):
    """Every 7×7 window of an image as 49 frequency components (fixed, not trained).

    ``forward`` takes (n, 1, rows, columns) to (n, 49, rows − 6, columns − 6); ``adjoint`` goes
    back to (n, 1, rows, columns) and adds the overlapping windows.
    """

    kernels: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernels", dct_kernels().float(), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        return F.conv2d(image, self.kernels)

    def adjoint(self, components: Tensor) -> Tensor:
        return F.conv_transpose2d(components, self.kernels)
