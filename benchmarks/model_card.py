"""Fill a model card with what was measured, and make its example images.

    python benchmarks/denoiser.py --json figures.json
    python benchmarks/model_card.py figures.json

The examples are made from the demo's lumbar slices (SPIDER, CC BY 4.0), which no training has seen:
one that goes well and two that do not.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from denoise_engine import Blend, Full, denoise_at_strengths  # noqa: E402
from denoise_engine.metrics import body_mask  # noqa: E402
from denoise_engine.models import WEIGHTS, find_model  # noqa: E402
from denoise_engine.simulation import simulate_acquisition  # noqa: E402
from denoise_engine.training.card import MEASURED_END, MEASURED_START  # noqa: E402
from denoise_engine.training.patches import rescale  # noqa: E402

Slice = NDArray[np.float32]
SOURCE = ROOT / "readerstudy" / "demo" / "data" / "lumbar" / "V02.npz"
LEVELS = (5.0, 10.0, 20.0)
CAPTION = (
    "Lumbar spine, never trained on (SPIDER data set, van der Graaf et al. 2024, CC BY 4.0; "
    "k-space cropped, noise and acceleration simulated)."
)


def measured(figures: dict[str, Any], picture: str) -> str:
    """The block of the card that is measured with the finished weights."""
    lines = [
        "## Examples",
        "",
        f"![Examples: one that goes well, two that do not]({picture})",
        "",
        CAPTION + " Top: the common case. Middle: at an SNR of 4 a faint spot of 1.2 times the "
        "noise (arrow in the truth) is lost at full strength. Bottom: the streaks and blur of "
        "compressed sensing stay.",
        "",
        "## Measured beside other denoisers",
        "",
        "`python benchmarks/denoiser.py`: every method is given the same noise level and the same "
        "bias step; PSNR in dB inside the body. The lumbar spine was never trained on; brain and "
        "knee slices were kept out of training; “coils” is a measured 16-channel slice with noise "
        f"of its own coils. Slices a set: {figures['slices']}, one noise draw each.",
        "",
    ]
    rows = figures["psnr"]
    methods = list(dict.fromkeys(r["method"] for r in rows))
    lines.append("| images | noise | SNR | " + " | ".join(methods) + " |")
    lines.append("| --- " * (3 + len(methods)) + "|")
    value = {(r["set"], r["noise"], r["snr"], r["method"]): r for r in rows}
    for block in dict.fromkeys((r["set"], r["noise"]) for r in rows):
        for snr in LEVELS:
            cells = [f"{value[*block, snr, m]['psnr']:.2f}" for m in methods]
            lines.append(f"| {block[0]} | {block[1]} | {snr:g} | " + " | ".join(cells) + " |")
    speed = figures.get("speed", {})
    if speed:
        seconds = {k.removeprefix("seconds "): v for k, v in speed.items() if "seconds" in k}
        listed = ", ".join(f"{name} {s:.2f}" for name, s in seconds.items())
        lines += ["", f"Seconds a lumbar slice, two cores, the same run: {listed}."]
    return "\n".join(lines)


def make_examples(model: str, path: Path) -> None:
    """A picture of three rows: noisy, full strength, half strength, removed noise, truth."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    with np.load(SOURCE) as stored:
        clean = rescale(stored["volume"][3].astype(np.float32), 2 / 3)[70:326, 20:236]
    spotted, place = _with_faint_spot(clean, snr=4.0)
    scan = simulate_acquisition(clean[None], protocol="triple-fast", snr=14, seed=5).volume[0]
    rows = [
        ("SNR 10: goes well", _noisy(clean, 10.0, 1), clean, _sigma(clean, 10.0)),
        ("SNR 4: faint spot lost", _noisy(spotted, 4.0, 2), spotted, _sigma(clean, 4.0)),
        ("compressed sensing: streaks stay", scan, clean, None),
    ]
    figure, axes = plt.subplots(3, 5, figsize=(14, 10.6), facecolor="black")
    top = float(np.percentile(clean, 99.5))
    for line, (name, noisy, truth, sigma) in zip(axes, rows, strict=True):
        full, gentle = denoise_at_strengths(
            noisy[None], [Full(), Blend(0.5)], noise=sigma, model=model, native_grid="off"
        )
        removed = noisy - full.volume[0]
        shown = [
            ("input", noisy),
            ("full strength", full.volume[0]),
            ("half strength", gentle.volume[0]),
            ("removed, ±3 σ", removed),
            ("truth", truth),
        ]
        for axis, (title, image) in zip(line, shown, strict=True):
            limits = (-3 * full.sigma, 3 * full.sigma) if image is removed else (0, top)
            axis.imshow(image, cmap="gray", vmin=limits[0], vmax=limits[1])
            axis.set_title(title, color="#d0d0d0", fontsize=10)
            axis.set_axis_off()
        line[0].text(
            -0.04, 0.5, name, transform=line[0].transAxes, rotation=90, color="#d0d0d0",
            ha="right", va="center", fontsize=11,
        )  # fmt: skip
    axes[1, 4].annotate(
        "", xy=(place[1] + 5, place[0]), xytext=(place[1] + 34, place[0]),
        arrowprops={"arrowstyle": "->", "color": "#ffb000", "lw": 1.5},
    )  # fmt: skip
    figure.subplots_adjust(left=0.03, right=0.995, top=0.97, bottom=0.005, wspace=0.02, hspace=0.08)
    figure.savefig(path, dpi=75, facecolor="black", pil_kwargs={"optimize": True})


def _sigma(clean: Slice, snr: float) -> float:
    return float(clean[body_mask(clean[None])[0]].mean()) / snr


def _noisy(clean: Slice, snr: float, seed: int) -> Slice:
    rng = np.random.default_rng(seed)
    real, imaginary = _sigma(clean, snr) * rng.standard_normal((2, *clean.shape), dtype=np.float32)
    return np.asarray(np.hypot(clean + real, imaginary), dtype=np.float32)


def _with_faint_spot(clean: Slice, snr: float) -> tuple[Slice, tuple[int, int]]:
    """A bright disc of radius 2 pixels and 1.2 times the noise, in a vertebral body."""
    row, column = 141, 84
    y, x = np.mgrid[: clean.shape[0], : clean.shape[1]]
    disc = (y - row) ** 2 + (x - column) ** 2 <= 4
    return (clean + 1.2 * _sigma(clean, snr) * disc).astype(np.float32), (row, column)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("figures", type=Path, help="what benchmarks/denoiser.py --json wrote")
    parser.add_argument("--model", default="ddlr")
    arguments = parser.parse_args()
    card = find_model(arguments.model).path.with_suffix(".md")
    picture = WEIGHTS / f"{card.stem}-examples.png"
    make_examples(arguments.model, picture)
    text = card.read_text(encoding="utf-8")
    before, _, rest = text.partition(MEASURED_START)
    _, _, after = rest.partition(MEASURED_END)
    block = measured(json.loads(arguments.figures.read_text()), picture.name)
    card.write_text(f"{before}{MEASURED_START}\n{block}\n{MEASURED_END}{after}", encoding="utf-8")
    print(f"{card.name} and {picture.name} written")


if __name__ == "__main__":
    main()
