"""The trained transfer networks: found by name, checked by hash, kept once loaded."""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from denoise_engine.errors import ModelError
from denoise_engine.models import (
    TRANSFER_MANIFEST,
    ModelFile,
    available_models,
    find_model,
    read_checked,
)
from denoise_engine.transfer.error_model import PREFIX, ErrorModel, error_model_in
from denoise_engine.transfer.networks import Architecture, TransferNetwork

DEFAULT_MODEL = "anisotropic-unet"


@dataclass(frozen=True)
class LoadedTransfer:
    """A transfer network, its card, and the model of its errors where one was fitted."""

    file: ModelFile
    network: TransferNetwork
    card: dict[str, Any]
    error_model: ErrorModel | None = None


def transfer_models() -> dict[str, ModelFile]:
    """Return the networks that are shipped, by name."""
    return available_models(TRANSFER_MANIFEST)


def load_transfer(name: str = DEFAULT_MODEL) -> LoadedTransfer:
    """Read a network, its weights in bfloat16 in the file and in float32 here.

    Raises
    ------
    ModelError
        If there is no such model, its SHA-256 differs, or it is not such a network.
    """
    return load_transfer_file(find_model(name, TRANSFER_MANIFEST))


@lru_cache(maxsize=3)
def load_transfer_file(file: ModelFile) -> LoadedTransfer:
    """Read a network from a file that is not shipped, by the SHA-256 it must have."""
    from safetensors.torch import load

    content, card = read_checked(file)
    try:
        network = TransferNetwork(architecture_in(card))
        weights = load(content)
        network.load_state_dict(
            {k: v.float() for k, v in weights.items() if not k.startswith(PREFIX)}
        )
        error_model = error_model_in(weights)
    except Exception as error:
        raise ModelError(f"“{file.path.name}” does not hold the weights of {file.name}.") from error
    return LoadedTransfer(file, network.eval(), card | _calibrated_later(file), error_model)


def _calibrated_later(file: ModelFile) -> dict[str, Any]:
    """Return the calibration that stands in the list beside the weights, if one does.

    Calibrating anew leaves the weights as they are, and all that was measured of their images; so
    it goes into the list, which tells their SHA-256 too. Without it the header's counts.
    """
    try:
        entries = json.loads(file.path.with_name(TRANSFER_MANIFEST.name).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    entry = entries.get(file.name, {})
    if entry.get("sha256") != file.sha256 or "calibration" not in entry:
        return {}
    return {"calibration": entry["calibration"]}


def architecture_in(card: dict[str, Any]) -> Architecture:
    """Return the architecture that a card tells."""
    size = card["architecture"]
    a, b, c, d = size["channels"]
    return Architecture(
        kind=size["kind"],
        factors=tuple(size["factors"]),
        channels=(a, b, c, d),
        fine=size["fine"],
        dropout=size["dropout"],
    )
