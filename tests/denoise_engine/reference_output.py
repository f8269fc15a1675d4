"""What the shipped network made of one small image, kept to be compared with.

``python -m tests.denoise_engine.reference_output`` writes it anew; needed only with new weights.
"""

from pathlib import Path

import numpy as np
import torch

from denoise_engine.models import find_model, load_model

STORED = Path(__file__).parent / "reference" / "ddlr.npz"
SIGMA = 9.0


def make_input() -> np.ndarray:
    """(72, 64) float32: tissue-like shapes, texture, an edge, noise of SD 9."""
    rng = np.random.default_rng(31)
    y, x = np.mgrid[:72, :64].astype(np.float32)
    disc = 140.0 * ((y - 30) ** 2 + (x - 28) ** 2 < 380)
    stripes = 25 * np.sin(x / 2.3) * np.cos(y / 3.7)
    clean = 40 + disc + stripes * (disc > 0) + 90.0 * (x > 52)
    return (clean + SIGMA * rng.standard_normal(clean.shape)).astype(np.float32)


def main() -> None:
    file = find_model("ddlr")
    image = make_input()
    with torch.inference_mode():
        out = load_model(file).network(
            torch.from_numpy(image)[None, None], torch.full((1, 1, 1, 1), SIGMA)
        )
    STORED.parent.mkdir(exist_ok=True)
    np.savez_compressed(STORED, image=image, output=out[0, 0].numpy(), sha256=np.array(file.sha256))
    print(f"wrote {STORED.name} for weights {file.sha256[:12]}…")


if __name__ == "__main__":
    main()
