"""From a finished training to a model that can be shipped: weights, manifest, model card."""

import hashlib
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from denoise_engine.ddlr.network import RECEPTIVE_FIELD, parameter_count
from denoise_engine.training.card import LIMITS, PURPOSE, USE, card_as_text
from denoise_engine.training.held_out import HeldOutFigure, held_out_figures
from denoise_engine.training.loop import Trainer
from denoise_engine.training.patches import HIGHEST_SNR, LOWEST_SNR
from denoise_engine.training.sources import SOURCES, Source, data_hash

VERSIONS = {"ddlr": "2", "ddlr-cs": "1"}


def export_model(
    trainer: Trainer,
    data: Path,
    out: Path,
    *,
    name: str = "ddlr",
    sources: Sequence[Source] = SOURCES,
    note: str = "",
) -> Path:
    """Judge the averaged network on held-out images and write it with its card.

    Writes weights and card, named after the model and its version, and ``manifest.json`` into
    ``out``. To ship them, copy both and the entry of the manifest into ``denoise_engine/weights``,
    and let ``benchmarks/model_card.py`` fill in what is measured with the finished weights.

    Returns
    -------
    Path
        The weights.
    """
    network = trainer.averaged_network()
    figures = held_out_figures(network, data, sources)
    card = model_card(trainer, figures, data, sources, name=name, note=note)
    tensors = {k: v.contiguous() for k, v in network.state_dict().items()}
    content = save(tensors, metadata={"card": json.dumps(card)})
    digest = hashlib.sha256(content).hexdigest()
    weights = out / f"{name}-v{card['version']}.safetensors"
    weights.write_bytes(content)
    weights.with_suffix(".md").write_text(card_as_text(card, digest), encoding="utf-8")
    entry = {"version": card["version"], "file": weights.name, "sha256": digest}
    (out / "manifest.json").write_text(json.dumps({name: entry}, indent=2) + "\n")
    return weights


def model_card(
    trainer: Trainer,
    figures: Sequence[HeldOutFigure],
    data: Path,
    sources: Sequence[Source],
    *,
    name: str = "ddlr",
    note: str = "",
) -> dict[str, Any]:
    """Return the card that goes into the header of the weights, in plain JSON values."""
    return {
        "name": name,
        "version": VERSIONS[name],
        "purpose": PURPOSE,
        "architecture": "dDLR: fixed 7×7 DCT, zero-frequency bypass, soft shrinkage, "
        "22 × (3×3 convolution, soft shrinkage), inverse DCT; no biases",
        "reference": "Kidoh M, et al. Magn Reson Med Sci 2020;19:195-206",
        "parameters": parameter_count(trainer.network),
        "receptive_field": RECEPTIVE_FIELD,
        "snr_range": [LOWEST_SNR, HIGHEST_SNR],
        "recipe": asdict(trainer.recipe),
        "steps": trainer.progress.step,
        "note": note,
        "minutes": round(trainer.progress.seconds / 60, 1),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "data": [
            {
                "path": s.path,
                "anatomy": s.anatomy,
                "contrast": s.contrast,
                "licence": s.licence,
                "held_out": s.held_out,
                "sha256": data_hash(data, s),
            }
            for s in sources
        ],
        "figures": [asdict(f) for f in figures],
        "curve": trainer.progress.curve,
        "machine": "a GPU"
        if trainer.device.type == "cuda"
        else f"{torch.get_num_threads()} processor thread(s)",
        "limits": list(LIMITS[name]),
        "use": list(USE),
        "command": f"python -m denoise_engine train {name} --data DATA --out OUT "
        f"--seed {trainer.recipe.seed} --steps {trainer.progress.step}"
        + (f" --start {trainer.recipe.start}" if trainer.recipe.start else "")
        + f" --learning-rate {trainer.recipe.learning_rate:g}",
    }
