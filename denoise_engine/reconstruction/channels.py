"""The receive channels before reconstruction: prewhitening and coil compression."""

from dataclasses import dataclass

import torch
from scipy import special
from torch import Tensor

from denoise_engine.errors import ReconstructionError

# Of all samples, those farthest from the centre of k-space stand for noise where none was measured.
_OUTERMOST = 0.05
_FEWEST_A_COIL = 20
_KEPT = 0.8


@dataclass(frozen=True)
class NoiseCovariance:
    """Noise of the channels.

    Attributes
    ----------
    matrix : Tensor
        (coils, coils) complex128, E[n nᴴ] of a sample.
    found : str
        How, in words for the record.
    """

    matrix: Tensor
    found: str


def covariance_of_noise_scan(noise: Tensor) -> NoiseCovariance:
    """Return the covariance of a noise adjustment scan, (coils, samples) complex.

    Raises
    ------
    ReconstructionError
        If it has too few samples to tell, or a channel that is dead.
    """
    coils, samples = noise.shape
    if samples < 4 * coils:
        raise ReconstructionError(
            f"The noise scan has {samples} samples for {coils} channels; at least {4 * coils} are "
            "needed. Leave it out, and the noise is estimated from the outer k-space."
        )
    values = noise.to(torch.complex128)
    values = values - values.mean(dim=1, keepdim=True)
    matrix = values @ values.mH / samples
    _check_alive(matrix)
    return NoiseCovariance(matrix, f"noise scan of {samples} samples")


def covariance_of_outer_kspace(kspace: Tensor, mask: Tensor) -> NoiseCovariance:
    """Estimate the covariance from the outermost samples, where a scan has little but noise.

    The strongest fifth of them is left out, and the bias of doing so is corrected.

    Parameters
    ----------
    kspace : Tensor
        (slices, coils, rows, columns) complex64, zero frequency at n // 2.
    mask : Tensor
        (rows, columns) bool.

    Raises
    ------
    ReconstructionError
        If a channel is dead.
    """
    rows, columns = mask.shape
    y = (torch.arange(rows) - rows // 2) / (rows / 2)
    x = (torch.arange(columns) - columns // 2) / (columns / 2)
    radius = torch.hypot(y[:, None], x[None, :])[mask]
    farthest = torch.argsort(radius, descending=True)
    wanted = max(int(_OUTERMOST * len(radius)), _FEWEST_A_COIL * kspace.shape[1])
    farthest = farthest[:wanted]
    samples = kspace[:, :, mask][:, :, farthest].transpose(0, 1).flatten(1).to(torch.complex128)
    coils = samples.shape[0]
    if samples.shape[1] < 4 * coils:
        raise ReconstructionError(
            "There are too few samples to estimate the noise from; give a noise scan."
        )
    matrix = samples @ samples.mH / samples.shape[1]
    _check_alive(matrix)
    # Energy in whitened units: gamma distributed for noise, larger where signal is left.
    inverse = torch.linalg.inv(torch.linalg.cholesky(matrix))
    energy = (inverse @ samples).abs().square().sum(dim=0)
    kept = samples[:, energy <= torch.quantile(energy, _KEPT)]
    trimmed = kept @ kept.mH / kept.shape[1]
    # The energy of pure noise is gamma distributed; trimming lowers its mean by this much.
    limit = special.gammaincinv(coils, _KEPT)
    lowered = float(special.gammainc(coils + 1, limit)) / _KEPT
    return NoiseCovariance(trimmed / lowered, "estimated from the outermost k-space")


def whitening_matrix(covariance: NoiseCovariance) -> Tensor:
    """Return W, (coils, coils) complex64: W·data has unit noise SD in real and imaginary part.

    Raises
    ------
    ReconstructionError
        If channels are copies of each other.
    """
    try:
        lower = torch.linalg.cholesky(covariance.matrix / 2)
    except torch.linalg.LinAlgError as error:
        raise ReconstructionError(
            "The noise of the channels cannot be whitened: some channels are copies of others."
        ) from error
    return torch.linalg.inv(lower).to(torch.complex64)


def compression_matrix(calibration: Tensor, virtual: int) -> tuple[Tensor, float]:
    """Return the unitary mixing into the strongest virtual coils, and the energy share they keep.

    Parameters
    ----------
    calibration : Tensor
        (slices, coils, rows, columns) complex64, whitened.
    virtual : int
        Number of virtual coils.

    Returns
    -------
    matrix : Tensor
        (virtual, coils) complex64, rows orthonormal: white noise stays white.
    kept : float
        Share of the signal energy.

    References
    ----------
    Buehrer M, et al. Array compression for MRI with large coil arrays. Magn Reson Med
    2007;57:1131-1139.
    """
    values = calibration.transpose(0, 1).flatten(1).to(torch.complex128)
    energies, vectors = torch.linalg.eigh(values @ values.mH)
    strongest = vectors.flip(-1)[:, :virtual]
    kept = float(energies.flip(0)[:virtual].sum() / energies.sum())
    return strongest.mH.to(torch.complex64), kept


def mix(matrix: Tensor, data: Tensor) -> Tensor:
    """Apply a channel matrix, (to, from), to (…, coils, rows, columns)."""
    return torch.einsum("ij,...jyx->...iyx", matrix, data)


def _check_alive(matrix: Tensor) -> None:
    power = matrix.diagonal().real
    dead = torch.nonzero(power <= 1e-12 * power.max()).flatten()
    if len(dead):
        names = ", ".join(str(int(k) + 1) for k in dead)
        raise ReconstructionError(
            f"Channel{'s' * (len(dead) > 1)} {names}: neither signal nor noise. Leave dead "
            "channels out of the data and of the noise scan."
        )
