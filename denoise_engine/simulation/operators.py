"""Cartesian multi-coil encoding with phase encoding along the rows, and its adjoint.

The readout is always fully sampled, so its Fourier transform cancels in forward-then-adjoint and
is left out: samples are kept in hybrid space (phase encoding × readout position). White noise stays
white under a unitary transform, so this changes neither signal nor noise.
"""

import torch
from torch import Tensor


class CartesianEncoding:
    """E = mask · Fourier(rows) · coils.

    Parameters
    ----------
    coils : Tensor
        (coils, rows, columns) complex64.
    mask : Tensor or None
        (rows,) bool, the phase encodings that are sampled, centre at rows // 2; None for all.
    """

    def __init__(self, coils: Tensor, mask: Tensor | None = None) -> None:
        self._coils = coils
        self._conjugate = coils.conj().resolve_conj()
        # In the transform's own order (zero frequency first), so that no step needs a shift.
        self._mask = None if mask is None else torch.fft.ifftshift(mask)[None, :, None]

    def forward(self, image: Tensor) -> Tensor:
        """(rows, columns) complex64 → (coils, rows, columns) samples, zero where not sampled."""
        samples = torch.fft.fft(self._coils * image, dim=-2, norm="ortho")
        return samples if self._mask is None else samples * self._mask

    def adjoint(self, samples: Tensor) -> Tensor:
        """(coils, rows, columns) samples → (rows, columns) complex64."""
        kept = samples if self._mask is None else samples * self._mask
        return (self._conjugate * torch.fft.ifft(kept, dim=-2, norm="ortho")).sum(dim=0)

    def sampled(self, samples: Tensor) -> Tensor:
        """Set the phase encodings that are not acquired to zero."""
        return samples if self._mask is None else samples * self._mask
