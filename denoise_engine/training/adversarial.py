"""Training of the 3 T to 7 T-like generator, with and without a second network that judges it.

The generator is a residual U-net. Its loss is L1 and structural similarity; with the discriminator,
which looks at patches of the image and learns to tell generated from real ones, also how well it
deceives (least squares, Mao 2017; patches, Isola 2017). Both networks take a step from the same
batch. A deceiving image is sharper, and what makes it sharp need not be there: that is why the
same generator is trained without the discriminator too, and both are measured.

The variance at each voxel is learnt from the error as it is; it does not change what the image is
trained for.

References
----------
Isola P, et al. Image-to-image translation with conditional adversarial networks. CVPR 2017.
Mao X, et al. Least squares generative adversarial networks. ICCV 2017.
Qu L, et al. Synthesized 7T MRI from 3T MRI via deep learning in spatial and wavelet domains. Med
Image Anal 2020;62:101663 (the task; without a discriminator).
"""

import math
from dataclasses import dataclass

import torch
from monai.losses.adversarial_loss import PatchAdversarialLoss
from monai.losses.ssim_loss import SSIMLoss
from monai.networks.nets.patchgan_discriminator import PatchDiscriminator
from torch import Tensor, nn

from denoise_engine.training.checkpoints import average_in
from denoise_engine.training.transfer import (
    TransferRecipe,
    TransferTrainer,
    weighted_likelihood,
)
from denoise_engine.training.transfer_data import TransferBatch

ADVERSARIAL, PLAIN = "7t-like-gan", "7t-like-plain"
GENERATORS = (ADVERSARIAL, PLAIN)

_DATA_RANGE = 2.0  # of intensities about 1
_VARIANCE_WEIGHT = 0.1


@dataclass(frozen=True)
class GeneratorRecipe(TransferRecipe):
    """What decides what a generator learns.

    ``structure`` weighs 1 less SSIM against L1, ``adversarial`` the discriminator, which begins
    after the warm-up; 0: there is none.
    """

    kind: str = ADVERSARIAL
    factors: tuple[int, ...] = (1,)
    size: int = 32
    channels: tuple[int, ...] = (16, 24, 40, 64)
    structure: float = 0.25
    adversarial: float = 0.02
    judging_channels: int = 16
    judging_rate: float = 0.25  # of the generator's learning rate


class GeneratorTrainer(TransferTrainer):
    """Trains a generator, and the discriminator beside it where the recipe asks for one."""

    recipe: GeneratorRecipe

    def _all_that_learns(self) -> nn.Module:
        self.discriminator: nn.Module | None = None
        if self.recipe.adversarial > 0:
            with torch.random.fork_rng():
                torch.manual_seed(self.recipe.seed + 1)
                self.discriminator = PatchDiscriminator(
                    spatial_dims=3,
                    channels=self.recipe.judging_channels,
                    in_channels=1,
                    num_layers_d=2,
                    norm="INSTANCE",
                )
        self._structure = SSIMLoss(spatial_dims=3, data_range=_DATA_RANGE, win_size=7)
        self._deception = PatchAdversarialLoss(criterion="least_squares")
        if self.discriminator is None:
            return self.network
        return nn.ModuleDict({"generator": self.network, "discriminator": self.discriminator})

    def _new_optimiser(self) -> torch.optim.Adam:
        groups = [{"params": list(self.network.parameters())}]
        if self.discriminator is not None:
            groups.append({"params": list(self.discriminator.parameters())})
        return torch.optim.Adam(groups, lr=0.0, betas=(0.5, 0.99))

    def _step(self, batch: TransferBatch, done: float) -> float:
        rate = self._learning_rate(done)
        shares = (1.0, self.recipe.judging_rate)
        for group, share in zip(self._optimiser.param_groups, shares, strict=False):
            group["lr"] = share * rate
        self._optimiser.zero_grad(set_to_none=True)
        thick = batch.thick
        if self.recipe.low_precision:
            thick = thick.contiguous(memory_format=torch.channels_last_3d)
        correction, log_variance = self.network(thick, batch.factor)
        made = batch.cubic + correction
        error = batch.target - made
        loss = (
            error.abs().mean()
            + self.recipe.structure * self._structure(made, batch.target)
            + _VARIANCE_WEIGHT * weighted_likelihood(error.detach(), log_variance, self.recipe.beta)
        )
        judged = self.discriminator is not None and self.progress.step >= self.recipe.warm_up
        if judged:
            loss = loss + self.recipe.adversarial * self._taken_for(made, real=True, fooling=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        if judged:
            norm = norm + self._discriminate(made.detach(), batch.target)
        if not bool(torch.isfinite(norm)):
            self.progress.skipped += 1
            return math.nan
        self._optimiser.step()
        average_in(self.average, self.network, self.recipe.average, self.progress.step)
        return float(loss.detach())

    def _discriminate(self, made: Tensor, real: Tensor) -> Tensor:
        """Gradients of the discriminator; what the generator's loss left there is thrown away."""
        assert self.discriminator is not None
        self.discriminator.zero_grad(set_to_none=True)
        loss = 0.5 * (
            self._taken_for(made, real=False, fooling=False)
            + self._taken_for(real, real=True, fooling=False)
        )
        loss.backward()  # type: ignore[no-untyped-call]
        return torch.nn.utils.clip_grad_norm_(self.discriminator.parameters(), self.recipe.clip)

    def _taken_for(self, image: Tensor, *, real: bool, fooling: bool) -> Tensor:
        """How far the discriminator is from taking an image for a real one, or for none."""
        assert self.discriminator is not None
        found: Tensor = self._deception(
            self.discriminator(image)[-1], target_is_real=real, for_discriminator=not fooling
        )
        return found
