"""Pictures and figures of benchmarks/reconstruction.py, into the model card."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray

from denoise_engine.training.card import MEASURED_END, MEASURED_START

matplotlib.use("Agg")
import matplotlib.pyplot as plt

ERROR_SHOWN = 5  # error maps are shown so many times brighter than the images
_CROP = (slice(4, 110), slice(24, 106))


def write_into_card(
    weights: Path,
    lines: list[str],
    reference: NDArray[np.float32],
    images: dict[str, NDArray[np.complex64]],
    curve: list[tuple[float, Any]],
) -> None:
    """Draw panels and the λ curve beside the weights, and put all into the card."""
    panels = weights.with_name(f"{weights.stem}-panels.png")
    figure = weights.with_name(f"{weights.stem}-lambda.png")
    draw_panels(panels, reference[0], images)
    draw_curve(figure, curve)
    card = weights.with_suffix(".md")
    text = card.read_text(encoding="utf-8")
    before, rest = text.split(MEASURED_START)
    _, after = rest.split(MEASURED_END)
    measured = [
        "## Measured on a real slice that training never used",
        "",
        *lines,
        "",
        f"![Images at R = 4 and their errors]({panels.name})",
        "",
        "Images at R = 4; below them the error against the full scan, "
        f"{ERROR_SHOWN} times brighter.",
        "",
        f"![PSNR and SSIM of plain SENSE against λ]({figure.name})",
        "",
        "Plain SENSE at R = 4 against λ, the bound of the noise amplification.",
        "",
    ]
    card.write_text(
        before + MEASURED_START + "\n" + "\n".join(measured) + MEASURED_END + after,
        encoding="utf-8",
    )


def draw_panels(
    path: Path, reference: NDArray[np.float32], images: dict[str, NDArray[np.complex64]]
) -> None:
    top = float(np.percentile(reference[reference > 0], 99.5))
    shown = {"full scan": reference} | {
        name: np.abs(image).astype(np.float32) for name, image in images.items()
    }
    figure, axes = plt.subplots(2, len(shown), figsize=(2.1 * len(shown), 5.6))
    for column, (name, image) in enumerate(shown.items()):
        axes[0, column].imshow(image[_CROP], cmap="gray", vmin=0, vmax=top)
        axes[0, column].set_title(name, fontsize=9)
        error = np.abs(image - reference)[_CROP]
        axes[1, column].imshow(error, cmap="gray", vmin=0, vmax=top / ERROR_SHOWN)
    for axis in axes.flat:
        axis.axis("off")
    figure.tight_layout(pad=0.3)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_curve(path: Path, curve: list[tuple[float, Any]]) -> None:
    figure, left = plt.subplots(figsize=(5.5, 3.4))
    bounds = [bound for bound, _ in curve]
    left.plot(bounds, [f.psnr for _, f in curve], "o-", color="tab:blue", label="PSNR")
    left.set_xscale("log")
    left.set_xticks(bounds, [f"{bound:g}" for bound in bounds])
    left.minorticks_off()
    left.set_xlabel("λ")
    left.set_ylabel("PSNR, dB", color="tab:blue")
    right = left.twinx()
    right.plot(bounds, [f.ssim for _, f in curve], "s--", color="tab:orange", label="SSIM")
    right.set_ylabel("SSIM", color="tab:orange")
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
