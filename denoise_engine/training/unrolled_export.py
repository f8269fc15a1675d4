"""From a trained unrolled network to a model that can be shipped: weights, list, model card."""

import hashlib
import json
import math
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from denoise_engine.reconstruction.unrolled import PUBLISHED_BOUNDS, UnrolledNetwork
from denoise_engine.training.card import MEASURED_END, MEASURED_START
from denoise_engine.training.sources import SOURCES, Source, data_hash
from denoise_engine.training.unrolled import UnrolledTrainer
from denoise_engine.training.unrolled_data import MEASURED_ARRAYS, NEVER_USED, REDUCTIONS
from denoise_engine.training.unrolled_held_out import (
    BOUND,
    SAMPLINGS,
    HeldOutScans,
    judge,
    judge_sense,
)

NAME, VERSION = "unrolled", "3"
PURPOSE = (
    "Reconstructs undersampled Cartesian multi-coil MR data. Research use only, not for diagnosis."
)
_LAMBDAS = ("log_bounds", "log_closing")  # kept exact
# A vendor's article names these for its own network at R = 4 and 6, on its own data.
ARTICLE = {4: (37.7, 0.93), 6: (36.5, 0.92)}
LIMITS = (
    "Trained on simulated scans of brain and knee of a few people: magnitude images with drawn "
    "phase, drawn coils and one measured array. The lumbar spine, contrast medium and implants are "
    "unseen.",
    "For uniform sampling up to a reduction of 6, along one direction or two, with or without a "
    "full centre. Other sampling runs, with a warning, and was not validated.",
    "What the data do not hold it fills in from what training images look like: small, faint "
    "structure may be smoothed away or, at R = 6 and low SNR, be made up. Look at the noise map "
    "and compare with SENSE.",
    "Motion, flow and off-resonance between lines are not modelled, nor wrong sensitivities "
    "(too small a calibration centre, a coil that moved).",
)
USE = (
    "Give a noise scan where there is one: λ is a bound only on whitened data.",
    "The record beside each series tells sampling, calibration, noise, network and warnings.",
)


def export_unrolled(
    trainer: UnrolledTrainer,
    scans: Sequence[HeldOutScans],
    data: Path,
    out: Path,
    *,
    sources: Sequence[Source] = SOURCES,
    note: str = "",
) -> Path:
    """Write weights (bfloat16), card and list into ``out``; return the path of the weights.

    To ship them, copy weights and card and the entry of ``reconstruction.json`` into
    ``denoise_engine/weights``, then let ``benchmarks/reconstruction.py`` fill in what is measured.

    Parameters
    ----------
    trainer : UnrolledTrainer
        Finished, or at a checkpoint.
    scans : sequence of HeldOutScans
        On which the card's figures are measured, with the weights as they are shipped.
    data : Path
        The data folder, for the hashes of the card.
    out : Path
        Where to write.
    sources : sequence of Source
        The series that were trained on.
    note : str
        A sentence about this training for the card.
    """
    network = trainer.averaged_network()
    shipped = {
        name: value.to(torch.float32 if name in _LAMBDAS else torch.bfloat16).contiguous()
        for name, value in network.state_dict().items()
    }
    network.load_state_dict({name: value.float() for name, value in shipped.items()})
    card = unrolled_card(trainer, network, scans, data, sources) | {"note": note}
    content = save(shipped, metadata={"card": json.dumps(card)})
    digest = hashlib.sha256(content).hexdigest()
    out.mkdir(parents=True, exist_ok=True)
    weights = out / f"{NAME}-v{VERSION}.safetensors"
    weights.write_bytes(content)
    weights.with_suffix(".md").write_text(unrolled_card_as_text(card, digest), encoding="utf-8")
    entry = {"version": VERSION, "file": weights.name, "sha256": digest}
    (out / "reconstruction.json").write_text(json.dumps({NAME: entry}, indent=2) + "\n")
    return weights


def unrolled_card(
    trainer: UnrolledTrainer,
    network: UnrolledNetwork,
    scans: Sequence[HeldOutScans],
    data: Path,
    sources: Sequence[Source],
) -> dict[str, Any]:
    """Return the card that goes into the header of the weights, in plain JSON values."""
    return {
        "name": NAME,
        "version": VERSION,
        "purpose": PURPOSE,
        "architecture": {
            "steps": network.architecture.steps,
            "channels": list(network.architecture.channels),
            "closing": network.architecture.closing,
        },
        "described": "6 × (regularised SENSE step toward the prior; bias-free U-net of MONAI that "
        "proposes the next prior), z₀ = 0, trained λ, own weights in each step; then a closing "
        "SENSE step toward the last prior, by which what was measured comes through",
        "parameters": sum(p.numel() for p in network.parameters()),
        "bounds": [round(bound, 3) for bound in network.bounds],
        "closing_bound": network.closing_bound,
        "published_bounds": list(PUBLISHED_BOUNDS),
        "reductions": [list(reduction) for reduction, _ in REDUCTIONS],
        "recipe": asdict(trainer.recipe),
        "steps": trainer.progress.step,
        "minutes": round(trainer.progress.seconds / 60, 1),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "data": [
            {
                "path": source.path,
                "anatomy": source.anatomy,
                "contrast": source.contrast,
                "licence": source.licence,
                "held_out": source.held_out,
                "sha256": data_hash(data, source),
            }
            for source in sources
        ],
        "arrays": [
            {
                "path": path,
                "licence": "BSD-3-Clause",
                "sha256": hashlib.sha256((data / path).read_bytes()).hexdigest(),
            }
            for path in MEASURED_ARRAYS
        ],
        "never_used": NEVER_USED,
        "held_out": {
            "sense": judge_sense(scans),
            "unrolled": judge(network, scans),
            "bound_of_sense": BOUND,
        },
        "curve": trainer.progress.curve,
        "limits": list(LIMITS),
        "use": list(USE),
        "command": f"python -m denoise_engine train {NAME} --data DATA --out OUT "
        + ("--start FIRST.safetensors " if trainer.recipe.start else "")
        + f"--seed {trainer.recipe.seed} --steps {trainer.progress.step} "
        f"--learning-rate {trainer.recipe.learning_rate:g}",
    }


def unrolled_card_as_text(card: dict[str, Any], sha256: str) -> str:
    """Return the card as Markdown."""
    lines = [
        f"# Model card: {card['name']} version {card['version']}",
        "",
        f"**{card['purpose']}**",
        "",
        "## In short",
        "",
        f"- **What** {card['described']}.",
        "- **Trained on** simulated multi-coil scans of brain and knee. No image of the spine. The "
        f"real slice on which it is judged (`{card['never_used']}`) was never used: no sample, "
        "sensitivity or noise of it.",
        "- **How it fails**",
        *(f"  - {limit}" for limit in card["limits"]),
        "- **How to use it**",
        *(f"  - {use}" for use in card["use"]),
        "",
        MEASURED_START,
        MEASURED_END,
        "",
        "## The learned λ",
        "",
        "λ bounds the noise amplification of each SENSE step; published ones of another network "
        "beside them.",
        "",
        "| step | " + " | ".join(str(t + 1) for t in range(len(card["bounds"]))) + " |",
        "| --- |" + " --- |" * len(card["bounds"]),
        "| learned λ | " + " | ".join(f"{bound:.2f}" for bound in card["bounds"]) + " |",
        "| published | " + " | ".join(f"{b:.2f}" for b in card["published_bounds"]) + " |",
        "",
        f"The closing step has λ = {card['closing_bound']:.2f}; the published network has none.",
        "",
        *_held_out(card),
        *_curve(card),
        *_making(card, sha256),
    ]
    return "\n".join(lines) + "\n"


def _held_out(card: dict[str, Any]) -> list[str]:
    figures = card["held_out"]
    table = [
        "## Measured on simulated scans kept out of training",
        "",
        "12 drawn coils, body SNR 40 of a full scan, 144 × 144, objects 1.5 times as fine; slices "
        "of a head that is the mean of 27 scans and of a knee. Where there is a full centre, the "
        "sensitivities are those that ESPIRiT finds in it. Against the full scan, its noise "
        "included; magnitude, whole field, mean over slices. The article's figures are of its own "
        "data and network.",
        "",
        f"| sampling | SENSE, λ = {figures['bound_of_sense']:g} | unrolled | article |",
        "| --- | --- | --- | --- |",
    ]
    for key in figures["unrolled"]:
        if not key.startswith("psnr_"):
            continue
        name = key.removeprefix("psnr_")
        reduction, lines = SAMPLINGS[name]
        article = ARTICLE.get(math.prod(reduction))
        cells = [
            f"{figures[who][key]:.2f} dB / {figures[who]['ssim_' + name]:.3f}"
            for who in ("sense", "unrolled")
        ]
        told = f"{article[0]} dB / {article[1]}" if article else ""
        words = f"R = {' × '.join(str(r) for r in reduction)}" + (
            f", centre of {lines}" if lines else ""
        )
        table.append(f"| {words} | {cells[0]} | {cells[1]} | {told} |")
    return table


def _curve(card: dict[str, Any]) -> list[str]:
    if not card["curve"]:
        return []
    names = [key.removeprefix("psnr_") for key in card["curve"][0] if key.startswith("psnr_")]
    lines = [
        "",
        "## Learning curve",
        "",
        "PSNR (dB) on the scans kept out, averaged weights.",
        "",
        "| minutes | scans seen | " + " | ".join(f"R = {name}" for name in names) + " |",
        "| --- | --- |" + " --- |" * len(names),
    ]
    for point in card["curve"]:
        values = " | ".join(f"{point[f'psnr_{name}']:.2f}" for name in names)
        lines.append(f"| {point['minutes']:.0f} | {point['scans']:,} | {values} |")
    return lines


def _training(card: dict[str, Any]) -> str:
    recipe = card["recipe"]
    if not card["steps"]:
        return f"- Not trained further; torch {card['versions']['torch']}."
    return (
        f"- Training: seed {recipe['seed']}, {card['steps']:,} steps of {recipe['batch']} scans, "
        f"{card['minutes']:g} minutes on a processor; torch {card['versions']['torch']}."
    )


def _making(card: dict[str, Any], sha256: str) -> list[str]:
    recipe = card["recipe"]
    return [
        "",
        "## How it was made",
        "",
        f"- U-nets of {'-'.join(str(n) for n in card['architecture']['channels'])} channels, "
        f"{card['parameters']:,} parameters in all, kept in bfloat16.",
        _training(card),
        *(
            [f"- Began with the weights of SHA-256 `{recipe['start']}`."]
            if recipe.get("start")
            else []
        ),
        *([f"- {card['note']}"] if card.get("note") else []),
        f"- SHA-256 of the weights: `{sha256}`",
        f"- Made by: `{card['command']}`",
        "",
        "| series | anatomy | contrast | licence | kept out | SHA-256 |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| {d['path']} | {d['anatomy']} | {d['contrast']} | {d['licence']} | "
            f"{d['held_out']} | `{d['sha256'][:16]}…` |"
            for d in card["data"]
        ),
        *(
            f"| {a['path']} (sensitivities and noise) | brain |  | {a['licence']} | none | "
            f"`{a['sha256'][:16]}…` |"
            for a in card["arrays"]
        ),
    ]
