"""Linear operators of Cartesian multi-coil imaging, each with its adjoint.

Shapes: an image is (…, rows, columns), multi-coil data are (…, coils, rows, columns), complex64;
leading dimensions are slices of a batch. Samples are kept in the transform's own order (zero
frequency first), so that no step of an iteration needs a shift; ``from_centred`` brings k-space as
it is stored in files, zero frequency in the middle, into that order.

Operators compose from right to left, as in a formula: ``Sampling(mask) @ Fourier() @ coils``.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from denoise_engine.errors import ReconstructionError

PHASE, READOUT = -2, -1


class Operator(ABC):
    """A linear operator with its adjoint: ⟨Ax, y⟩ = ⟨x, Aᴴy⟩ for all x and y."""

    @abstractmethod
    def forward(self, values: Tensor) -> Tensor:
        """Apply the operator."""

    @abstractmethod
    def adjoint(self, values: Tensor) -> Tensor:
        """Apply its adjoint."""

    def __matmul__(self, inner: "Operator") -> "Operator":
        return _Composition(self, inner)


class _Composition(Operator):
    def __init__(self, outer: Operator, inner: Operator) -> None:
        self._outer, self._inner = outer, inner

    def forward(self, values: Tensor) -> Tensor:
        return self._outer.forward(self._inner.forward(values))

    def adjoint(self, values: Tensor) -> Tensor:
        return self._inner.adjoint(self._outer.adjoint(values))


class Fourier(Operator):
    """The unitary Fourier transform along some axes.

    Parameters
    ----------
    axes : tuple of int
        Negative. With phase encoding along the rows only, the transform of the fully sampled
        readout cancels in forward-then-adjoint and can be left out: samples then stay in hybrid
        space (phase encoding × readout position). White noise stays white under a unitary
        transform, so this changes neither signal nor noise.
    """

    def __init__(self, axes: tuple[int, ...] = (PHASE, READOUT)) -> None:
        self.axes = axes

    def forward(self, values: Tensor) -> Tensor:
        return torch.fft.fftn(values, dim=self.axes, norm="ortho")

    def adjoint(self, values: Tensor) -> Tensor:
        return torch.fft.ifftn(values, dim=self.axes, norm="ortho")


class Sampling(Operator):
    """Which samples were taken; a projection, so its own adjoint.

    Parameters
    ----------
    mask : Tensor
        Bool, (rows,) or (rows, columns), zero frequency at n // 2.
    """

    def __init__(self, mask: Tensor) -> None:
        if mask.ndim == 1:
            mask = mask[:, None]
        self.kept = torch.fft.ifftshift(mask)

    def forward(self, values: Tensor) -> Tensor:
        return values * self.kept

    def adjoint(self, values: Tensor) -> Tensor:
        return values * self.kept


class Sensitivities(Operator):
    """One image seen by every coil.

    Parameters
    ----------
    coils : Tensor
        (…, coils, rows, columns) complex64.
    """

    def __init__(self, coils: Tensor) -> None:
        self.coils = coils
        self._conjugate = coils.conj().resolve_conj()

    def forward(self, values: Tensor) -> Tensor:
        return self.coils * values.unsqueeze(-3)

    def adjoint(self, values: Tensor) -> Tensor:
        return (self._conjugate * values).sum(dim=-3)


class CartesianEncoding(Operator):
    """E = sampling · Fourier · sensitivities.

    Parameters
    ----------
    coils : Tensor
        (…, coils, rows, columns) complex64.
    mask : Tensor or None
        (rows,) bool for phase encodings with a full readout: samples are in hybrid space; (rows,
        columns) bool for two phase encodings: samples are in k-space. Zero frequency at n // 2.
        None for all phase encodings.
    """

    def __init__(self, coils: Tensor, mask: Tensor | None = None) -> None:
        check_mask_fits(mask, coils)
        self.mask = mask
        self.sensitivities = Sensitivities(coils)
        self.fourier = Fourier(axes_of(mask))
        self._sampling = None if mask is None else Sampling(mask)

    def forward(self, values: Tensor) -> Tensor:
        """(…, rows, columns) → (…, coils, rows, columns) samples, zero where not sampled."""
        return self.sampled(self.fourier.forward(self.sensitivities.forward(values)))

    def adjoint(self, values: Tensor) -> Tensor:
        """(…, coils, rows, columns) samples → (…, rows, columns)."""
        return self.sensitivities.adjoint(self.fourier.adjoint(self.sampled(values)))

    def normal(self, image: Tensor) -> Tensor:
        """Return EᴴE of an image."""
        return self.adjoint(self.forward(image))

    def sampled(self, samples: Tensor) -> Tensor:
        """Set the samples that are not acquired to zero."""
        return samples if self._sampling is None else self._sampling.forward(samples)


def axes_of(mask: Tensor | None) -> tuple[int, ...]:
    """Return the axes that have to be transformed: the rows, or both for two phase encodings."""
    return (PHASE,) if mask is None or mask.ndim == 1 else (PHASE, READOUT)


def from_centred(kspace: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Bring k-space with its zero frequency at n // 2 into the order of ``CartesianEncoding``.

    Parameters
    ----------
    kspace : Tensor
        (…, rows, columns) complex64, transformed along both axes.
    axes : tuple of int
        The axes that stay in k-space, as ``axes_of`` gives them; the other is taken to positions.
    """
    images = centred_images(kspace)
    return Fourier(axes).forward(images)


def centred_images(kspace: Tensor) -> Tensor:
    """Return the images of centred k-space, their origin at n // 2: (…, rows, columns)."""
    both = (PHASE, READOUT)
    shifted = torch.fft.ifftshift(kspace, dim=both)
    return torch.fft.fftshift(torch.fft.ifftn(shifted, dim=both, norm="ortho"), dim=both)


def centred_kspace(images: Tensor) -> Tensor:
    """Return the k-space of images, zero frequency at n // 2; the inverse of centred_images."""
    both = (PHASE, READOUT)
    shifted = torch.fft.ifftshift(images, dim=both)
    return torch.fft.fftshift(torch.fft.fftn(shifted, dim=both, norm="ortho"), dim=both)


def check_mask_fits(mask: Tensor | None, coils: Tensor) -> None:
    """Refuse a mask of another matrix than the data.

    Raises
    ------
    ReconstructionError
    """
    if mask is None:
        return
    matrix = tuple(coils.shape[-2:])
    fits = tuple(mask.shape) in ((matrix[0],), matrix)
    if not fits:
        raise ReconstructionError(
            f"The sampling mask is {_times(tuple(mask.shape))}, the data are {_times(matrix)}: the "
            "mask must have one entry a phase encoding, or one a sample."
        )


def _times(shape: tuple[int, ...]) -> str:
    return " × ".join(str(n) for n in shape)
