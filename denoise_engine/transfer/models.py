"""The trained transfer networks: found by name, checked by hash, kept once loaded."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from denoise_engine.errors import ModelError
from denoise_engine.models import (
    TRANSFER_MANIFEST,
    ModelFile,
    available_models,
    calibrated_later,
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
    """Read a network from a file that is not shipped, by the SHA-256 it must have.

    Raises
    ------
    ModelError
        The file is missing, its SHA-256 differs, or it is not such a network.
    """
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
    return LoadedTransfer(file, network.eval(), card | calibrated_later(file), error_model)


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
