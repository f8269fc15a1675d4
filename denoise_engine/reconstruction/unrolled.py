"""The unrolled network: SENSE steps toward a prior, and U-nets that propose the next prior.

    z₀ = 0
    xₜ = argmin ‖Ex − y‖² + μₜ‖x − zₜ₋₁‖²,   μₜ = 1 / (4λₜ²)       t = 1 … 6
    zₜ = xₜ + U-netₜ(xₜ, noise of xₜ)

    x = argmin ‖Ex − y‖² + μ‖x − z₆‖²                             closing step

x is the image; version 2 and earlier had no closing step, and z₆ was. What was measured so comes
through as measured, its noise included, and z₆ decides the rest. Each U-net has weights of its own.
λₜ bounds the noise amplification of its step: on whitened data with EᴴE ≤ 1 no direction of x has
more than λₜ times the noise of the data. A small λ stays near the prior, a large one goes to plain
SENSE. The λ's are trained, in log form, the six of the iterations from the published ones.

The networks see the noise level of their input as a further channel and have neither biases nor
normalisation, so that f(c·y, c·σ) = c·f(y, σ): there is no intensity scale to get wrong. The smooth
part of the phase is taken off before a U-net and put back after it: any factor c may be complex.

References
----------
Behl N. Deep Resolve: mobilizing the power of networks. MAGNETOM Flash 2021;78:29-35 (six
iterations; the λ's of its table 1).
Hammernik K, et al. Learning a variational network for reconstruction of accelerated MRI data. Magn
Reson Med 2018;79:3055-3071.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Of the vendor's article: larger steps first.
PUBLISHED_BOUNDS = (7.05, 7.05, 3.91, 1.85, 1.11, 0.91)

_CLOSING_BOUND = 0.5  # where the training of the closing λ begins

_HALVINGS = 4
_PHASE_WIDTH = 2.0  # SD in pixels of what counts as smooth phase


class SenseStep(Protocol):
    """What the network asks of the data: the two functions of ``AliasGroups``."""

    def solve(self, mu: Tensor | float, prior: Tensor | None = None) -> Tensor:
        """Minimise ‖Ex − y‖² + μ‖x − z‖²."""

    def noise(self, mu: Tensor | float) -> Tensor:
        """Return the noise SD of that solution, in units of the noise of the data."""


@dataclass(frozen=True)
class Architecture:
    """The size of the network: steps, channels of the U-nets from fine to coarse and back, and
    whether a SENSE step toward the last prior closes it.
    """

    steps: int = 6
    channels: tuple[int, int, int, int, int, int] = (24, 24, 48, 96, 192, 24)
    closing: bool = True


class PriorNetwork(nn.Module):
    """Proposes the next prior: the image and a learned correction by a bias-free U-net of MONAI."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.low_precision = False
        # Loading MONAI takes seconds; only who builds a network waits for it.
        from monai.networks.nets.basic_unet import BasicUNet

        self.unet = BasicUNet(
            spatial_dims=2,
            in_channels=3,
            out_channels=2,
            features=channels,
            act=("LeakyReLU", {"negative_slope": 0.05}),
            norm=None,  # type: ignore[arg-type]
            bias=False,
        )
        self.unet.final_conv.register_parameter("bias", None)
        for module in self.unet.modules():
            # MONAI gives the upsampling a bias whatever it is told.
            if isinstance(module, nn.ConvTranspose2d):
                module.register_parameter("bias", None)
        with torch.no_grad():
            self.unet.final_conv.weight.mul_(0.1)  # the first prior is the image itself
        # Channels beside one another: a third faster on processors.
        self.unet.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, image: Tensor, noise: Tensor) -> Tensor:
        """(batch, rows, columns) complex64 and its noise SD, float32 → the prior, complex64."""
        phase = smooth_phase_of(image)
        turned = image * phase.conj()
        planes = torch.stack([turned.real, turned.imag, noise], dim=1)
        with torch.autocast(planes.device.type, torch.bfloat16, enabled=self.low_precision):
            planes = _padded(planes).contiguous(memory_format=torch.channels_last)
            correction = self.unet(planes)
        correction = correction[..., : image.shape[-2], : image.shape[-1]].float()
        return image + phase * torch.complex(correction[:, 0], correction[:, 1])


class UnrolledNetwork(nn.Module):
    """Six SENSE steps, each followed by a U-net, and a closing SENSE step.

    Parameters
    ----------
    architecture : Architecture
        Its size.
    """

    def __init__(self, architecture: Architecture | None = None) -> None:
        super().__init__()
        self.architecture = architecture or Architecture()
        steps = self.architecture.steps
        published = [PUBLISHED_BOUNDS[min(t, len(PUBLISHED_BOUNDS) - 1)] for t in range(steps)]
        self.log_bounds = nn.Parameter(torch.tensor(published).log())
        self.log_closing = (
            nn.Parameter(torch.tensor(_CLOSING_BOUND).log()) if self.architecture.closing else None
        )
        self.priors = nn.ModuleList(PriorNetwork(self.architecture.channels) for _ in range(steps))

    def use_low_precision(self, low: bool = True) -> None:
        """Run the U-nets in bfloat16, or not; the SENSE steps stay in single precision."""
        for prior in self.priors:
            assert isinstance(prior, PriorNetwork)
            prior.low_precision = low

    def part_ways(self) -> None:
        """Give every U-net the weights of the first."""
        for prior in self.priors[1:]:
            prior.load_state_dict(self.priors[0].state_dict())

    def log_lambdas(self) -> list[nn.Parameter]:
        """What is trained of the λ's: those of the iterations, and that of the closing step."""
        return [self.log_bounds] + ([] if self.log_closing is None else [self.log_closing])

    @property
    def bounds(self) -> list[float]:
        """λ₁ … λ₆, as trained."""
        return [float(value) for value in self.log_bounds.detach().exp()]

    @property
    def closing_bound(self) -> float | None:
        """λ of the closing step, as trained; None where there is no such step."""
        return None if self.log_closing is None else float(self.log_closing.detach().exp())

    def forward(self, step: SenseStep) -> Tensor:
        """Return the image, (batch, rows, columns) complex64, of whitened data."""
        return self.iterations(step)[-1]

    def iterations(self, step: SenseStep, *, alike: bool = False) -> list[Tensor]:
        """Return all priors z₁ … z₆, and last what the closing step makes of z₆.

        ``alike``: every one proposed by the first U-net.
        """
        priors: list[Tensor] = []
        for t, log_bound in enumerate(self.log_bounds):
            propose = self.priors[0 if alike else t]
            mu = 0.25 * torch.exp(-2 * log_bound)
            image = step.solve(mu, priors[-1] if priors else None)
            priors.append(propose(image, step.noise(mu)))
        if self.log_closing is not None:
            priors.append(step.solve(0.25 * torch.exp(-2 * self.log_closing), priors[-1]))
        return priors


def smooth_phase_of(image: Tensor) -> Tensor:
    """Return the phase factor of the smoothed image, (batch, rows, columns) complex64."""
    with torch.no_grad():
        reach = int(3 * _PHASE_WIDTH)
        kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / _PHASE_WIDTH) ** 2)
        kernel = (kernel / kernel.sum()).to(image.device)
        planes = torch.stack([image.real, image.imag]).flatten(0, 1).unsqueeze(1)
        planes = F.conv2d(planes, kernel[None, None, :, None], padding=(reach, 0))
        planes = F.conv2d(planes, kernel[None, None, None, :], padding=(0, reach))
        real, imaginary = planes.squeeze(1).unflatten(0, (2, image.shape[0]))
        return torch.polar(torch.ones_like(real), torch.atan2(imaginary, real))


def _padded(planes: Tensor) -> Tensor:
    """Reflect at the lower and right edges up to a multiple of what the U-net halves."""
    size = 2**_HALVINGS
    bottom, right = -planes.shape[-2] % size, -planes.shape[-1] % size
    return F.pad(planes, (0, right, 0, bottom), mode="reflect") if bottom or right else planes
