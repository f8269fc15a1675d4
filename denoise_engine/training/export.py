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
from denoise_engine.training.held_out import HeldOutFigure, held_out_figures
from denoise_engine.training.loop import Trainer
from denoise_engine.training.patches import HIGHEST_SNR, LOWEST_SNR
from denoise_engine.training.sources import SOURCES, Source, data_hash

LIMITS = (
    "Trained on brain and knee of a few people, none of them a patient with spine disease. The "
    "lumbar spine is unseen anatomy.",
    "The noise is taken to be white, or mildly coloured. Streaks and aliasing of compressed "
    "sensing are not noise and stay.",
    "Images that the scanner interpolated must be brought back to their acquired matrix first; "
    "the noise estimate refuses them.",
    "The Rician bias of dark tissue and air is not removed: the local mean passes unchanged.",
    "Low-contrast detail near the noise level can be smoothed away. At full strength images look "
    "artificially smooth; a blend or a target SNR gain is the normal way of use.",
)


def export_model(
    trainer: Trainer,
    data: Path,
    out: Path,
    *,
    sources: Sequence[Source] = SOURCES,
    note: str = "",
) -> Path:
    """Judge the averaged network on held-out images and write it with its card.

    Writes ``ddlr-v1.safetensors``, ``ddlr-v1.md`` and ``manifest.json`` into ``out``.

    Returns
    -------
    Path
        The weights.
    """
    network = trainer.averaged_network()
    card = model_card(trainer, held_out_figures(network, data, sources), data, sources, note)
    tensors = {k: v.contiguous() for k, v in network.state_dict().items()}
    content = save(tensors, metadata={"card": json.dumps(card)})
    digest = hashlib.sha256(content).hexdigest()
    weights = out / "ddlr-v1.safetensors"
    weights.write_bytes(content)
    (out / "ddlr-v1.md").write_text(card_as_text(card, digest), encoding="utf-8")
    entry = {"version": card["version"], "file": weights.name, "sha256": digest}
    (out / "manifest.json").write_text(json.dumps({"ddlr": entry}, indent=2) + "\n")
    return weights


def model_card(
    trainer: Trainer,
    figures: Sequence[HeldOutFigure],
    data: Path,
    sources: Sequence[Source],
    note: str = "",
) -> dict[str, Any]:
    """Return the card that goes into the header of the weights, in plain JSON values."""
    return {
        "name": "ddlr",
        "version": "1",
        "purpose": "Removes noise from magnitude MR images. Research use only, not for diagnosis.",
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
        "limits": list(LIMITS),
        "command": "python -m denoise_engine train ddlr --data DATA --out OUT "
        f"--seed {trainer.recipe.seed} --steps {trainer.recipe.steps}"
        + (f" --minutes {trainer.recipe.minutes:g}" if trainer.recipe.minutes else ""),
    }


def card_as_text(card: dict[str, Any], sha256: str) -> str:
    """Return the card as Markdown for people."""
    lines = [
        f"# Model card: {card['name']} version {card['version']}",
        "",
        card["purpose"],
        "",
        f"- Network: {card['architecture']} ({card['parameters']:,} parameters, receptive field "
        f"{card['receptive_field']} pixels). {card['reference']}.",
        f"- Valid where the mean body signal is {card['snr_range'][0]:g} to "
        f"{card['snr_range'][1]:g} times the noise SD; outside, the engine refuses.",
        f"- Training: seed {card['recipe']['seed']}, {card['steps']:,} steps of "
        f"{card['recipe']['patches']} patches of {card['recipe']['size']}², "
        f"{card['minutes']:g} minutes on a CPU; torch {card['versions']['torch']}.",
        *([f"- {card['note']}"] if card.get("note") else []),
        f"- SHA-256 of the weights: `{sha256}`",
        f"- Made by: `{card['command']}`. A training that is limited in minutes takes as many "
        "steps as the machine allows.",
        "",
        "## Measured on images kept out of training",
        "",
        "White Gaussian noise of known level; PSNR in dB inside the body, peak: the maximum of the "
        "slice. “Start” is the untrained network, plain DCT shrinkage.",
        "",
        "| anatomy | series | slices | SNR | noisy | start | trained | gain |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {f['anatomy']} | {f['path']} | {f['slices']} | {f['snr']:g} | {f['noisy']:.2f} | "
        f"{f['start']:.2f} | {f['trained']:.2f} | {f['trained'] - f['noisy']:+.2f} |"
        for f in card["figures"]
    ]
    lines += ["", "## Limits", ""]
    lines += [f"- {limit}" for limit in card["limits"]]
    lines += [
        "",
        "## Training data",
        "",
        "No image of the spine.",
        "",
        "| series | anatomy | contrast | licence | kept out | SHA-256 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {d['path']} | {d['anatomy']} | {d['contrast']} | {d['licence']} | {d['held_out']} | "
        f"`{d['sha256'][:16]}…` |"
        for d in card["data"]
    ]
    return "\n".join(lines) + "\n"
