"""The trained unrolled networks: found by name, checked by hash, kept once loaded."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from denoise_engine.errors import ModelError
from denoise_engine.models import (
    RECONSTRUCTION_MANIFEST,
    ModelFile,
    available_models,
    find_model,
    read_checked,
)
from denoise_engine.reconstruction.unrolled import Architecture, UnrolledNetwork

DEFAULT_MODEL = "unrolled"


@dataclass(frozen=True)
class LoadedNetwork:
    """An unrolled network and its card."""

    file: ModelFile
    network: UnrolledNetwork
    card: dict[str, Any]


def reconstruction_models() -> dict[str, ModelFile]:
    """Return the networks that are shipped, by name."""
    return available_models(RECONSTRUCTION_MANIFEST)


def load_unrolled(name: str = DEFAULT_MODEL) -> LoadedNetwork:
    """Read a network, its weights in bfloat16 in the file and in float32 here.

    Raises
    ------
    ModelError
        If there is no such model, its SHA-256 differs, or it is not such a network.
    """
    return _load(find_model(name, RECONSTRUCTION_MANIFEST))


@lru_cache(maxsize=2)
def _load(file: ModelFile) -> LoadedNetwork:
    from safetensors.torch import load

    content, card = read_checked(file)
    try:
        size = card["architecture"]
        architecture = Architecture(
            steps=size["steps"],
            channels=tuple(size["channels"]),
            closing=size.get("closing", False),
        )
        network = UnrolledNetwork(architecture)
        network.load_state_dict({k: v.float() for k, v in load(content).items()})
    except Exception as error:
        raise ModelError(f"“{file.path.name}” does not hold the weights of {file.name}.") from error
    return LoadedNetwork(file, network.eval(), card)
