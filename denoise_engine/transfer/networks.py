"""U-nets that take thick slices and give thin ones, 2 to 8 times as many, and one for thin slices.

The first two work on the grid of the input, where there are few slices, and reach the fine one on
the way up: going down, pooling is within the slice until the voxels are cubes; going up, everything
doubles in all directions; what is handed across at a level is spread along the slices by a
transposed convolution to fit.

- **SR-U-net**: plain pairs of convolutions (Heinrich 2017, made for electron microscopy of
  anisotropic sections).
- **Anisotropic U-net**: residual units, and a bottleneck of 1 × 1 × 1 convolutions around each
  transposed convolution of the skips (Lin 2019, low-field to high-field MR).
- **Residual U-net**: residual units, and slices as thin as they come (factor 1). It makes a T1 scan
  look as if it were from a higher field; what it is trained against decides what that means
  (:mod:`denoise_engine.training.adversarial`).

The mean they give is a correction of cubic interpolation, which is added outside. A second output
is the logarithm of the variance of the error to be expected (Kendall and Gal 2017; for image
quality transfer Tanno 2021). There is no normalisation layer: what comes out at a voxel depends on
its surroundings, not on how the volume is cut into patches.

Departures from the papers: fewer channels (weights run on a processor), one network for the factors
4 and 8 (only the spreading of the skips has weights of its own for each), the second output, and
dropout of channels in the two coarsest levels for the maps of parameter uncertainty.

References
----------
Heinrich L, Bogovic JA, Saalfeld S. Deep learning for isotropic super-resolution from non-isotropic
3D electron microscopy. MICCAI 2017, LNCS 10434:135-143.
Lin H, et al. Deep learning for low-field to high-field MR: image quality transfer with
probabilistic decimation simulator. MLMIR 2019, LNCS 11905:58-70.
Tanno R, et al. Uncertainty modelling in deep learning for safer neuroimage enhancement:
demonstration in diffusion MRI. NeuroImage 2021;225:117366.
Kendall A, Gal Y. What uncertainties do we need in Bayesian deep learning for computer vision?
NeurIPS 2017.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

Kind = Literal["sr-unet", "anisotropic-unet", "residual-unet"]

HALVINGS = 3
# Logarithms of variances beyond these are nonsense: intensities are about 1.
LOWEST_LOG_VARIANCE, HIGHEST_LOG_VARIANCE = -14.0, 2.0


@dataclass(frozen=True)
class Architecture:
    """What the network is.

    Attributes
    ----------
    kind : {"sr-unet", "anisotropic-unet", "residual-unet"}
    factors : tuple of int
        Through-plane factors, powers of 2 up to 8; 1: none.
    channels : tuple of int
        From the finest to the coarsest level, on the way down.
    fine : int
        Channels on the fine grid.
    dropout : float
        Share of channels left out in the two coarsest levels when uncertainty is sampled.
    """

    kind: Kind = "sr-unet"
    factors: tuple[int, ...] = (4, 8)
    channels: tuple[int, int, int, int] = (32, 48, 80, 128)
    fine: int = 16
    dropout: float = 0.1


class TransferNetwork(nn.Module):
    """A U-net from thick to thin slices.

    Rows and columns of the input must be multiples of 8; slices of 8 over the factor.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.low_precision = False
        a = architecture
        up = (a.fine, *(max(c // 2, a.fine) for c in a.channels[1:3]), a.channels[3])
        block = _plain if a.kind == "sr-unet" else _residual
        spread = _bottleneck if a.kind == "anisotropic-unet" else _spread
        self.down = nn.ModuleList(
            block(1 if k == 0 else a.channels[k - 1], a.channels[k]) for k in range(HALVINGS + 1)
        )
        self.skips = nn.ModuleDict(
            {
                str(factor): nn.ModuleList(
                    spread(a.channels[k], up[k], max(1, factor >> k)) for k in range(HALVINGS)
                )
                for factor in a.factors
            }
        )
        self.lift = nn.ModuleList(
            nn.ConvTranspose3d(up[k + 1], up[k], 2, stride=2) for k in range(HALVINGS)
        )
        self.up = nn.ModuleList(block(2 * up[k], up[k]) for k in range(HALVINGS))
        self.drop = nn.Dropout3d(a.dropout)
        self.out = nn.Conv3d(up[0], 2, 1)
        _begin(self)
        with torch.no_grad():
            self.out.weight.mul_(0.1)  # the first guess is cubic interpolation itself
            self.out.get_parameter("bias").copy_(torch.tensor([0.0, -4.0]))

    def forward(self, thick: Tensor, factor: int) -> tuple[Tensor, Tensor]:
        """Correct cubic interpolation.

        Parameters
        ----------
        thick : Tensor
            (batch, 1, slices, rows, columns), intensities about 1.
        factor : int

        Returns
        -------
        correction, log_variance : Tensor
            (batch, 1, factor · slices, rows, columns) float32.
        """
        with torch.autocast(thick.device.type, torch.bfloat16, enabled=self.low_precision):
            x = thick
            crossing: list[Tensor] = []
            for level in range(HALVINGS):
                x = self.down[level](x)
                crossing.append(x)
                along = 1 if factor >> level > 1 else 2
                x = nn.functional.avg_pool3d(x, (along, 2, 2))
            x = self.drop(self.down[HALVINGS](x))
            for level in reversed(range(HALVINGS)):
                skip = self._skip(factor, level)(crossing[level])
                x = self.up[level](torch.cat([self.lift[level](x), skip], dim=1))
                if level == HALVINGS - 1:
                    x = self.drop(x)
            mean, log_variance = self.out(x).float().split(1, dim=1)
        return mean, log_variance.clamp(LOWEST_LOG_VARIANCE, HIGHEST_LOG_VARIANCE)

    def _skip(self, factor: int, level: int) -> nn.Module:
        levels = self.skips[str(factor)]
        assert isinstance(levels, nn.ModuleList)
        return levels[level]

    def sample_dropout(self, on: bool) -> None:
        """Leave channels out at random also where the network is used, or stop doing so."""
        self.drop.train(on)


def _begin(network: nn.Module) -> None:
    """Draw weights that keep the size of what passes through.

    Nothing normalises it: by torch's default it would shrink by 3 at every pair of convolutions,
    and what the coarse levels see would not come through.
    """
    from monai.networks.blocks.convolutions import ResidualUnit

    summed = {
        id(module)
        for unit in network.modules()
        if isinstance(unit, ResidualUnit)
        for module in unit.modules()
    }
    for module in network.modules():
        if isinstance(module, nn.ConvTranspose3d):
            # As wide as its stride: each output has part in one input voxel alone.
            nn.init.normal_(module.weight, std=module.in_channels**-0.5)
        elif isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, a=0.05, nonlinearity="leaky_relu")
            if id(module) in summed:
                # Two ways are added up.
                with torch.no_grad():
                    module.weight.mul_(0.5**0.5)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def slices_at_once(factor: int) -> int:
    """Return what the number of thick slices must be a multiple of."""
    return max(1, (1 << HALVINGS) // factor)


def parameter_count(network: nn.Module) -> int:
    """Return how many numbers a network learns: all elements of its parameters, no buffers."""
    return sum(p.numel() for p in network.parameters())


def _plain(channels: int, out: int) -> nn.Module:
    # Loading MONAI takes seconds; only who builds a network waits for it.
    from monai.networks.blocks.convolutions import Convolution

    def convolution(a: int, b: int) -> nn.Module:
        return Convolution(
            3, a, b, kernel_size=3, adn_ordering="A", act=("leakyrelu", {"negative_slope": 0.05})
        )

    return nn.Sequential(convolution(channels, out), convolution(out, out))


def _residual(channels: int, out: int) -> nn.Module:
    from monai.networks.blocks.convolutions import ResidualUnit

    return ResidualUnit(
        3,
        channels,
        out,
        kernel_size=3,
        subunits=2,
        adn_ordering="A",
        act=("leakyrelu", {"negative_slope": 0.05}),
    )


def _spread(channels: int, out: int, factor: int) -> nn.Module:
    if factor == 1:
        return nn.Conv3d(channels, out, 1)
    return nn.ConvTranspose3d(channels, out, (factor, 1, 1), stride=(factor, 1, 1))


def _bottleneck(channels: int, out: int, factor: int) -> nn.Module:
    narrow = max(out // 2, 8)
    return nn.Sequential(
        nn.Conv3d(channels, narrow, 1),
        nn.LeakyReLU(0.05),
        _spread(narrow, narrow, factor),
        nn.LeakyReLU(0.05),
        nn.Conv3d(narrow, out, 1),
    )
