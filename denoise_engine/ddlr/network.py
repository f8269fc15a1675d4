"""The dDLR network, top to bottom as in the paper.

Kidoh M, et al. Deep learning based noise reduction for brain MR imaging: tests on phantoms and
healthy volunteers. Magn Reson Med Sci 2020;19:195-206.

An image is split into 49 frequency components by a fixed 7×7 DCT. The zero-frequency component,
the local mean, goes around the network untouched. The other 48 are soft-shrunk, then pass 22 times
through a 3×3 convolution and a soft shrinkage, and the inverse DCT (a deconvolution) puts all 49
together again. The only non-linearity is the shrinkage, whose thresholds are the noise level times
a trained factor a channel: one network serves every noise level.

No convolution has a bias. The network is therefore homogeneous, f(c·x, c·σ) = c·f(x, σ) for c > 0,
and needs no intensity normalisation.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from denoise_engine.ddlr.dct import BLOCK, COMPONENTS, MARGIN, SlidingDCT

LAYERS = 22
CHANNELS = COMPONENTS - 1
# 3 pixels for the DCT, one for each convolution, 3 for the inverse DCT, either side of a pixel.
RECEPTIVE_FIELD = 2 * (BLOCK // 2 + LAYERS + BLOCK // 2) + 1

_FIRST_THRESHOLD = 1.0
_LATER_THRESHOLD = 0.02


class SoftShrinkage(nn.Module):
    """Pull every value towards zero by a threshold of its own channel, in units of the noise."""

    def __init__(self, channels: int, threshold: float) -> None:
        super().__init__()
        self.threshold = nn.Parameter(torch.full((1, channels, 1, 1), threshold))

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        t = (self.threshold.abs() * sigma).to(x.dtype)
        return x - torch.clamp(x, -t, t)


class DDLR(nn.Module):
    """The network of the paper: 457,296 trained parameters, receptive field 57 pixels.

    Parameters
    ----------
    layers : int
        Number of 3×3 convolutions, 22 in the paper.
    """

    def __init__(self, layers: int = LAYERS) -> None:
        super().__init__()
        self.dct = SlidingDCT()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False) for _ in range(layers)
        )
        self.shrinkages = nn.ModuleList(
            SoftShrinkage(CHANNELS, _LATER_THRESHOLD if k else _FIRST_THRESHOLD)
            for k in range(layers + 1)
        )
        # Started as the identity, the untrained network is plain sliding-DCT shrinkage. Starting
        # the last convolution at zero would leave it there: inside its dead zone the shrinkage
        # passes no gradient.
        for convolution in self.convolutions:
            nn.init.dirac_(convolution.get_parameter("weight"))

    def forward(
        self,
        image: Tensor,
        sigma: Tensor,
        *,
        dtype: torch.dtype = torch.float32,
        kernels: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """Denoise.

        Parameters
        ----------
        image : Tensor
            (n, 1, rows, columns), any intensity unit.
        sigma : Tensor
            Noise SD in the unit of the image: (n, 1, 1, 1), or a map (n, 1, rows, columns).
        dtype : torch.dtype
            Number format of the 22 layers: float32, or bfloat16 for speed. The DCT, which carries
            the local mean, always stays in float32.
        kernels : sequence of Tensor, optional
            Kernels in place of the network's own, for training.

        Returns
        -------
        Tensor
            (n, 1, rows, columns).
        """
        # Padding by 6 lets 49 windows cover every pixel, the border's too.
        padded = F.pad(image, (MARGIN,) * 4, mode="reflect")
        components = self.dct(padded)
        mean, detail = components[:, :1], components[:, 1:]
        level = sigma_of_windows(sigma)
        if kernels is None:
            kernels = self.kernels()
        if dtype == torch.float32:
            detail = self.filter_detail(detail, level, kernels)
        else:
            with torch.autocast(image.device.type, dtype=dtype):
                low = detail.to(dtype, memory_format=torch.channels_last)
                detail = self.filter_detail(low, level, kernels)
        total = self.dct.adjoint(torch.cat([mean, detail.to(mean.dtype)], dim=1))
        return total[..., MARGIN:-MARGIN, MARGIN:-MARGIN] / COMPONENTS

    def kernels(self) -> list[Tensor]:
        """The kernels of the convolutions, first to last."""
        return [convolution.get_parameter("weight") for convolution in self.convolutions]

    def filter_detail(self, detail: Tensor, sigma: Tensor, kernels: Sequence[Tensor]) -> Tensor:
        """Shrink, then convolve and shrink ``layers`` times."""
        detail = self.shrinkages[0](detail, sigma)
        for kernel, shrinkage in zip(kernels, self.shrinkages[1:], strict=True):
            detail = shrinkage(F.conv2d(detail, kernel, padding=1), sigma)
        return detail


def sigma_of_windows(sigma: Tensor) -> Tensor:
    """Bring a noise map (n, 1, rows, columns) to the grid of the windows: the RMS over each.

    A single level (n, 1, 1, 1) stays as it is.
    """
    if sigma.shape[-2:] == (1, 1):
        return sigma
    padded = F.pad(sigma, (MARGIN,) * 4, mode="reflect")
    return F.avg_pool2d(padded.square(), BLOCK, stride=1).sqrt()


def parameter_count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())
