"""From a transfer training to a model that can be shipped: weights, manifest, model card."""

import hashlib
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from denoise_engine.errors import TrainingDataError
from denoise_engine.training.transfer import TransferTrainer
from denoise_engine.training.transfer_calibration import (
    SeenScan,
    brain_of,
    calibrated_on,
    judged_on,
    seen_on,
)
from denoise_engine.training.transfer_card import (
    CALIBRATED,
    calibration_in_words,
    limits_of,
    pair_rows,
    pairs_behind,
    pixel_range_with,
    purpose_of,
    transfer_card_as_text,
    use_of,
)
from denoise_engine.training.transfer_data import ranges_for
from denoise_engine.training.transfer_errors import ERROR_STEPS, fit_error_model
from denoise_engine.training.transfer_held_out import (
    HeldOutScan,
    held_out_scans,
    judge,
    judge_cubic,
)
from denoise_engine.transfer.error_model import PREFIX, ErrorModel
from denoise_engine.transfer.heads import SOURCES, HeadSource, load_heads, source_hash
from denoise_engine.transfer.models import LoadedTransfer
from denoise_engine.transfer.networks import TransferNetwork, parameter_count

VERSIONS = {"sr-unet": "3", "anisotropic-unet": "3", "7t-like-gan": "2", "7t-like-plain": "1"}
PIXEL_RANGE = (1.0, 1.15)  # mm, of the heads that train


def export_transfer(
    trainer: TransferTrainer,
    data: Path,
    out: Path,
    *,
    sources: tuple[HeadSource, ...] = SOURCES,
    note: str = "",
    error_steps: int = ERROR_STEPS,
) -> Path:
    """Write weights (bfloat16), card and list into ``out``; return the path of the weights.

    To ship them, copy weights and card and the entry of ``transfer.json`` into
    ``denoise_engine/weights``, then let ``benchmarks/transfer.py --write`` fill in what is measured
    on the test heads.

    Parameters
    ----------
    trainer : TransferTrainer
        Finished, or at a checkpoint.
    data : Path
        The data folder.
    out : Path
        Where to write.
    sources : tuple of HeadSource
        The heads; the first of the validation part judges and calibrates.
    note : str
        A sentence about this training for the card.
    error_steps : int
        Of fitting the model of errors.
    """
    network = _as_shipped(trainer.averaged_network())
    errors = fit_error_model(
        network,
        load_heads(data, "train", sources),
        trainer.recipe.factors,
        seed=trainer.recipe.seed,
        steps=error_steps,
    )
    scans = _validation_scans(data, trainer.recipe.factors, sources)
    card = transfer_card(trainer, network, errors, scans, data, sources) | {"note": note}
    return _write(network, errors, card, out)


def refit_errors(
    loaded: LoadedTransfer, data: Path, out: Path, *, seed: int, note: str = ""
) -> Path:
    """Fit the model of errors of a network anew, and calibrate it; its images stay as they are.

    Parameters
    ----------
    loaded : LoadedTransfer
    data, out : Path
    seed : int
    note : str
        A sentence for the card.
    """
    factors = loaded.network.architecture.factors
    errors = fit_error_model(loaded.network, load_heads(data, "train"), factors, seed=seed)
    seen = seen_on(loaded.network, errors, _validation_scans(data, factors))
    name = loaded.file.name
    card = loaded.card | {
        "version": VERSIONS[name],
        "purpose": purpose_of(name, pairs_behind(loaded.card)),
        "limits": limits_of(name, pairs_behind(loaded.card)),
        "use": use_of(name),
        "calibration": calibration_of(seen),
        "note": " ".join(filter(None, [loaded.card.get("note"), note])),
        "refitted": f"python -m denoise_engine train {name} --start {name} --export --data DATA "
        f"--out OUT --seed {seed}",
    }
    return _write(loaded.network, errors, card, out)


def calibrate_anew(loaded: LoadedTransfer, data: Path, out: Path) -> Path:
    """Calibrate the warning maps of a network; weights and model of errors stay as they are.

    The calibration goes into the entry of the list of models; of the card, only what it says of
    the calibration is written anew.

    Parameters
    ----------
    loaded : LoadedTransfer
        With a model of errors.
    data, out : Path
        The data folder, and where to write.

    Returns
    -------
    Path
        Of ``transfer.json`` in ``out``; entries of other networks stay as they are there.

    Raises
    ------
    TrainingDataError
        The network has no model of errors, its card nothing of a calibration, or heads are missing.
    """
    if loaded.error_model is None:
        raise TrainingDataError(
            f"{loaded.file.name} has no model of errors that could be calibrated: fit one by "
            "--export in place of --calibrate."
        )
    _card_around_calibration(loaded)  # before minutes of computing
    factors = loaded.network.architecture.factors
    seen = seen_on(loaded.network, loaded.error_model, _validation_scans(data, factors))
    return write_calibration(loaded, seen, out)


def write_calibration(loaded: LoadedTransfer, seen: Sequence[SeenScan], out: Path) -> Path:
    """Write list and card for what was seen on the validation scans; return the list's path."""
    card = loaded.card | {"calibration": calibration_of(seen)}
    file = loaded.file
    before, after = _card_around_calibration(loaded)
    told = "\n".join(calibration_in_words(card["calibration"]))
    entry = {"version": file.version, "file": file.path.name, "sha256": file.sha256}
    return _listed(
        out,
        file.name,
        entry | {"calibration": card["calibration"]},
        {file.path.with_suffix(".md").name: f"{before}{told}\n{after}".encode()},
    )


def _card_around_calibration(loaded: LoadedTransfer) -> tuple[str, str]:
    """What was measured, and what people wrote into the card by hand, stays."""
    page = loaded.file.path.with_suffix(".md")
    try:
        text = page.read_text(encoding="utf-8")
        start = text.index(CALIBRATED)
        return text[:start], text[text.index("\n## ", start) :]
    except (OSError, ValueError) as error:
        raise TrainingDataError(
            f"“{page.name}” beside the weights cannot be read, or has no paragraph that begins "
            f"with “{CALIBRATED}”: there is no card to write the calibration into."
        ) from error


def _listed(out: Path, name: str, entry: dict[str, Any], files: dict[str, bytes]) -> Path:
    """Write files, then the list that names them; other networks stay in the list."""
    out.mkdir(parents=True, exist_ok=True)
    listed = out / "transfer.json"
    try:
        others = json.loads(listed.read_text(encoding="utf-8")) if listed.exists() else {}
    except ValueError as error:
        raise TrainingDataError(
            f"“{listed}” cannot be read as a list of networks. Give another folder as --out."
        ) from error
    content = json.dumps(others | {name: entry}, indent=2) + "\n"
    for target, written in (files | {listed.name: content.encode()}).items():
        partial = out / f".partial-{os.getpid()}-{target}"
        try:
            partial.write_bytes(written)
            os.replace(partial, out / target)
        finally:
            partial.unlink(missing_ok=True)
    return listed


def calibration_of(seen: Sequence[SeenScan]) -> dict[str, Any]:
    """Return the calibration for a card, where it was fitted, and how well it holds elsewhere.

    ``region`` is the brain, or the head where the data folder has no template that would tell where
    the brain is; ``cross_fitted`` are the figures of slabs that a fit to the others had not seen.

    Parameters
    ----------
    seen : sequence of SeenScan
        On the validation head.
    """
    told = {
        "region": "brain" if all(scan.in_brain for scan in seen) else "head",
        "cross_fitted": judged_on(seen),
    }
    return calibrated_on(seen).as_json() | told


def _validation_scans(
    data: Path, factors: Sequence[int], sources: tuple[HeadSource, ...] = SOURCES
) -> list[HeldOutScan]:
    head = load_heads(data, "validation", sources)[0]
    return held_out_scans(head, factors, brain_of(data, head))


def _as_shipped(network: TransferNetwork) -> TransferNetwork:
    """Round the weights as the file does."""
    network.load_state_dict(
        {k: v.to(torch.bfloat16).float() for k, v in network.state_dict().items()}
    )
    return network


def _write(network: TransferNetwork, errors: ErrorModel, card: dict[str, Any], out: Path) -> Path:
    tensors = {k: v.to(torch.bfloat16).contiguous() for k, v in network.state_dict().items()}
    tensors |= {PREFIX + k: v.contiguous() for k, v in errors.state_dict().items()}
    content = save(tensors, metadata={"card": json.dumps(card)})
    digest = hashlib.sha256(content).hexdigest()
    name = card["name"]
    weights = out / f"{name}-v{card['version']}.safetensors"
    page = transfer_card_as_text(card, digest).encode()
    entry = {"version": card["version"], "file": weights.name, "sha256": digest}
    _listed(out, name, entry, {weights.name: content, weights.with_suffix(".md").name: page})
    return weights


def transfer_card(
    trainer: TransferTrainer,
    network: TransferNetwork,
    errors: ErrorModel,
    scans: Sequence[HeldOutScan],
    data: Path,
    sources: tuple[HeadSource, ...],
) -> dict[str, Any]:
    """Return the card that goes into the header of the weights, in plain JSON values."""
    recipe, progress = trainer.recipe, trainer.progress
    return {
        "name": recipe.kind,
        "version": VERSIONS[recipe.kind],
        "purpose": purpose_of(recipe.kind, progress.pairs_seen),
        "architecture": {
            "kind": network.architecture.kind,
            "factors": list(recipe.factors),
            "channels": list(recipe.channels),
            "fine": recipe.fine,
            "dropout": recipe.dropout,
        },
        "parameters": parameter_count(network),
        "pixel_range": list(pixel_range_with(*PIXEL_RANGE, progress.pairs)),
        "forward_model": asdict(ranges_for(recipe.factors)),
        "recipe": asdict(recipe),
        "steps": progress.step,
        "minutes": round(progress.seconds / 60, 1),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "data": [
            {
                "path": source.path,
                "what": source.what,
                "part": source.part,
                "licence": source.licence,
                "sha256": source_hash(data, source),
            }
            for source in sources
        ]
        + pair_rows(progress.pairs),
        "start": progress.start,
        "device": progress.device,
        "validation": {"cubic": judge_cubic(scans), "network": judge(network, scans)},
        "calibration": calibration_of(seen_on(network, errors, scans)),
        "curve": progress.curve,
        "limits": limits_of(recipe.kind, progress.pairs_seen),
        "use": use_of(recipe.kind),
        "command": f"python -m denoise_engine train {recipe.kind} --data DATA --out OUT "
        f"--seed {recipe.seed} --steps {recipe.steps} "
        + (f"--minutes {recipe.minutes:g} " if recipe.minutes else "")
        + f"--learning-rate {recipe.learning_rate:g}"
        + (" --pairs BIDS" if progress.pairs else "")
        + (f" --start {progress.start['name']}" if progress.start else ""),
        "ended": trainer.fraction_done() >= 1,
    }
