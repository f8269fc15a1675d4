"""A head of simple shapes, small enough for a network on a processor."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from denoise_engine.models import ModelFile
from denoise_engine.transfer.forward import Tissues
from denoise_engine.transfer.heads import Head, HeadSource
from denoise_engine.transfer.models import LoadedTransfer
from denoise_engine.transfer.networks import Architecture, TransferNetwork

TISSUES = Tissues(grey=70.0, white=100.0)
SMALL = Architecture(kind="sr-unet", channels=(4, 4, 4, 4), fine=4)


def phantom(
    shape: tuple[int, int, int] = (64, 64, 64), seed: int = 0, *, skull: bool = True
) -> NDArray[np.float32]:
    """Scalp, skull, folded grey matter, white matter and ventricles, as nested ellipsoids."""
    rng = np.random.default_rng(seed)
    axes = [np.linspace(-1, 1, n) for n in shape]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    radius = np.sqrt(z**2 + y**2 + x**2)
    fold = 0.05 * np.sin(9 * np.arctan2(y, x) + 1.3 * seed) * np.cos(7 * z)
    head = np.zeros(shape, dtype=np.float32)
    for edge, value in ((0.95, 85), (0.87, 8), (0.76, 25)):
        head[radius < edge] = value if skull else 0
    head[radius < 0.72] = TISSUES.grey
    head[radius + fold < 0.6] = TISSUES.white
    head[radius < 0.16] = 22
    return np.abs(head + rng.normal(0, 1, shape)).astype(np.float32)


def phantom_head(part: str = "train", shape: tuple[int, int, int] = (96, 64, 64)) -> Head:
    source = HeadSource("phantom.nii.gz", part, "none", "a phantom", 70, 100)  # type: ignore[arg-type]
    return Head(source, phantom(shape), (1.0, 1.0, 1.0), np.eye(4), TISSUES)


def save_head(
    path: Path, volume: NDArray[np.float32], spacing: tuple[float, ...] = (1, 1, 1)
) -> None:
    """Write (slices, rows, columns) as a NIfTI file whose slices are axial."""
    import nibabel

    path.parent.mkdir(parents=True, exist_ok=True)
    z, y, x = spacing
    affine = np.diag([x, y, z, 1.0])
    # Grids that cover the same box share its corner, not the centre of their first voxel.
    affine[:3, 3] = [x / 2, y / 2, z / 2]
    nifti: Any = nibabel
    nifti.save(nifti.Nifti1Image(volume.transpose(2, 1, 0), affine), path)


def small_model(architecture: Architecture = SMALL, **card: Any) -> LoadedTransfer:
    """An untrained network with a card, as if it had been loaded."""
    import torch

    torch.manual_seed(4)
    network = TransferNetwork(architecture).eval()
    with torch.no_grad():
        # Corrections as large as those of a trained network.
        network.out.weight.mul_(5)
    told = {
        "name": architecture.kind,
        "architecture": {"factors": list(architecture.factors)},
        "pixel_range": [1.0, 1.15],
        "calibration": {"intrinsic": 1.0, "parameter": 1.0},
    }
    file = ModelFile(architecture.kind, "0", Path("none.safetensors"), "0" * 64)
    return LoadedTransfer(file, network, told | card)
