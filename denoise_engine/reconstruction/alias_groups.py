"""Regularised SENSE for uniform sampling, solved exactly.

Under uniform sampling each pixel folds onto R − 1 others and onto nothing else. EᴴE then falls
apart into small Hermitian matrices, one a group of aliasing pixels, and the whole problem

    minimise ‖Ex − y‖² + μ‖x − z‖²

is solved by one eigendecomposition of each: EᴴE = V S Vᴴ gives x = V (S + μ)⁻¹ (VᴴEᴴy + μVᴴz). The
noise of the solution is known for free.

Where only lines are left out, uniformly or not, each column of the image is a group of its own: its
pixels fold among themselves alone. This too is exact, at the price of larger matrices.

References
----------
Pruessmann KP, et al. SENSE: sensitivity encoding for fast MRI. Magn Reson Med 1999;42:952-962.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

_ENTRIES_AT_ONCE = 1 << 22  # of matrices in hand while their eigenvectors are found


@dataclass(frozen=True)
class Lattice:
    """The pixels that fold together.

    Attributes
    ----------
    groups : Tensor
        (groups, R) int64, flat pixel indices; each pixel is in one group.
    folding : Tensor
        (R, R) complex64, the point spread function between the members of a group.
    matrix : tuple of int
        Rows and columns.
    """

    groups: Tensor
    folding: Tensor
    matrix: tuple[int, int]

    @property
    def reduction(self) -> int:
        return int(self.groups.shape[1])

    @property
    def is_of_columns(self) -> bool:
        """Whether the groups are whole columns, of a mask of lines that is not uniform."""
        return self.reduction == self.matrix[0]


def find_lattice(mask: Tensor, matrix: tuple[int, int]) -> Lattice | None:
    """Return the lattice that a mask samples, or None if the sampling is not uniform.

    Sheared lattices (CAIPIRINHA) are lattices too.

    Parameters
    ----------
    mask : Tensor
        Bool, (rows,) or (rows, columns), zero frequency at n // 2.
    matrix : tuple of int
        Rows and columns of the image.
    """
    if mask.ndim == 1:
        mask = mask[:, None]
    psf = torch.fft.ifft2(torch.fft.ifftshift(mask).to(torch.complex128))
    share = float(psf[0, 0].real)
    shifts = torch.nonzero(psf.abs() > 1e-9)
    if share == 0 or round(1 / share) != len(shifts) or abs(psf).max() > share + 1e-9:
        return None
    if abs(psf[shifts[:, 0], shifts[:, 1]]).min() < share - 1e-9:
        return None
    rows, columns = matrix
    pixel = torch.arange(rows * columns).reshape(matrix)
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    members = torch.stack([pixel[(y + dy) % rows, (x + dx) % columns] for dy, dx in shifts], -1)
    groups = members[members.min(dim=-1).values == pixel]
    height, width = psf.shape
    dy = (shifts[:, None, 0] - shifts[None, :, 0]) % height
    dx = (shifts[:, None, 1] - shifts[None, :, 1]) % width
    return Lattice(groups, psf[dy, dx].to(torch.complex64), matrix)


def columns_of(mask: Tensor, matrix: tuple[int, int]) -> Lattice:
    """Return the groups of a mask of lines, uniform or not: the columns of the image.

    Parameters
    ----------
    mask : Tensor
        Bool, (rows,), zero frequency at n // 2.
    matrix : tuple of int
        Rows and columns of the image.
    """
    rows, columns = matrix
    psf = torch.fft.ifft(torch.fft.ifftshift(mask).to(torch.complex128))
    at = torch.arange(rows)
    groups = torch.arange(rows * columns).reshape(matrix).T.contiguous()
    return Lattice(groups, psf[(at[:, None] - at[None, :]) % rows].to(torch.complex64), matrix)


class AliasGroups:
    """The normal equations of a batch of slices whose pixels fold in groups.

    Parameters
    ----------
    coils : Tensor
        (…, coils, rows, columns) complex64, sensitivities for whitened data.
    projection : Tensor
        Eᴴy, (…, rows, columns) complex64.
    lattice : Lattice
        The sampling.
    """

    def __init__(self, coils: Tensor, projection: Tensor, lattice: Lattice) -> None:
        self.lattice = lattice
        pieces = [
            _eigenpairs(coils, groups, lattice.folding)
            for groups in lattice.groups.split(max(1, _ENTRIES_AT_ONCE // lattice.reduction**2))
        ]
        values = torch.cat([piece[0] for piece in pieces], dim=-2)
        vectors = torch.cat([piece[1] for piece in pieces], dim=-3)
        self._values = values.clamp(min=0)
        self._vectors = vectors
        self._seen = self._analysed(projection)
        self._back = torch.argsort(lattice.groups.flatten())

    def solve(self, mu: Tensor | float, prior: Tensor | None = None) -> Tensor:
        """Minimise ‖Ex − y‖² + μ‖x − z‖².

        Parameters
        ----------
        mu : Tensor or float
            Weight of the prior, above 0.
        prior : Tensor, optional
            z, (…, rows, columns) complex64; 0 by default.

        Returns
        -------
        Tensor
            x, (…, rows, columns) complex64.
        """
        wanted = self._seen if prior is None else self._seen + mu * self._analysed(prior)
        solved = wanted / (self._values + mu)
        return self._placed((self._vectors @ solved.unsqueeze(-1)).squeeze(-1))

    def noise(self, mu: Tensor | float) -> Tensor:
        """Return the noise SD of the solution in units of that of the data: (…, rows, columns).

        The prior is taken as known. Nowhere above 1 / (2√μ).
        """
        variance = self._values / (self._values + mu) ** 2
        summed = (self._vectors.abs() ** 2 @ variance.unsqueeze(-1)).squeeze(-1)
        # Not quite 0 where no coil sees: the slope of the root is infinite there.
        return self._placed(summed.clamp_min(1e-12)).sqrt()

    def g_factor(self) -> Tensor:
        """Return the g-factor of plain SENSE, (…, rows, columns) float32; 0 where no coil sees.

        How much the noise exceeds √R times that of a full scan. Directions in which the coils
        cannot tell pixels apart (relative eigenvalue below 1e-6) count as not seen.
        """
        floor = 1e-6 * self._values.amax(dim=-1, keepdim=True)
        seen = self._values > floor.clamp(min=1e-12)
        inverse = torch.where(seen, 1 / self._values.clamp(min=1e-12), 0)
        power = self._vectors.abs() ** 2
        amplified = (power @ inverse.unsqueeze(-1)).squeeze(-1)
        single = (power @ self._values.unsqueeze(-1)).squeeze(-1)
        return self._placed((amplified * single).clamp(min=0).sqrt())

    def _analysed(self, image: Tensor) -> Tensor:
        grouped = image.flatten(-2)[..., self.lattice.groups].unsqueeze(-1)
        return (self._vectors.mH @ grouped).squeeze(-1)

    def _placed(self, grouped: Tensor) -> Tensor:
        flat = grouped.flatten(-2)[..., self._back]
        return flat.reshape(*flat.shape[:-1], *self.lattice.matrix)


def _eigenpairs(coils: Tensor, groups: Tensor, folding: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and vectors of EᴴE in some groups; what no coil sees has eigenvalues up to 0."""
    folded = coils.flatten(-2)[..., groups]  # (…, coils, groups, R)
    gram = torch.einsum("...cgi,...cgj->...gij", folded.conj(), folded) * folding
    # Pixels that no coil sees would all have the eigenvalue 0, and many equal ones can keep the
    # algorithm from converging. They stand alone in the matrix: any other value will do.
    size = gram.shape[-1]
    diagonal = gram.diagonal(dim1=-2, dim2=-1)
    apart = -1 - torch.arange(size, device=gram.device) / size
    gram = gram + torch.diag_embed(torch.where(diagonal.abs() == 0, apart, 0).to(gram.dtype))
    try:
        values, vectors = torch.linalg.eigh(gram)
    except torch.linalg.LinAlgError:
        values, vectors = torch.linalg.eigh(gram.to(torch.complex128))
    return values.to(torch.float32), vectors.to(gram.dtype)
