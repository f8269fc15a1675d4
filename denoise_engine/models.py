"""The trained models: found by name, checked by hash, described by a card in their own header."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from denoise_engine.errors import ModelError

if TYPE_CHECKING:
    from denoise_engine.ddlr.network import DDLR

WEIGHTS = Path(__file__).resolve().parent / "weights"
MANIFEST = WEIGHTS / "manifest.json"
# Networks from k-space to images: no methods of denoising, so in a list of their own.
RECONSTRUCTION_MANIFEST = WEIGHTS / "reconstruction.json"
# Networks that make another image than the one measured: in a list of their own too.
TRANSFER_MANIFEST = WEIGHTS / "transfer.json"


@dataclass(frozen=True)
class ModelFile:
    """A weights file and what it must hash to."""

    name: str
    version: str
    path: Path
    sha256: str


@dataclass(frozen=True)
class LoadedModel:
    """A network on the CPU in float32, and its card."""

    file: ModelFile
    network: "DDLR"
    card: dict[str, Any]


def available_models(manifest: Path = MANIFEST) -> dict[str, ModelFile]:
    """Return the models that are shipped, by name.

    Raises
    ------
    ModelError
        If the manifest is missing or unreadable.
    """
    try:
        entries = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"The list of models “{manifest.name}” cannot be read.") from error
    return {
        name: ModelFile(name, e["version"], manifest.parent / e["file"], e["sha256"])
        for name, e in entries.items()
    }


def find_model(name: str, manifest: Path = MANIFEST) -> ModelFile:
    """Return one model by name.

    Raises
    ------
    ModelError
        If there is no such model.
    """
    models = available_models(manifest)
    if name not in models:
        raise ModelError(
            f"There is no trained model “{name}”. Models, each with a card: {', '.join(models)}."
        )
    return models[name]


def load_model(file: ModelFile) -> LoadedModel:
    """Read a network and its card, after checking the hash of the whole file.

    The file is safetensors: numbers and text, nothing that could be executed.

    Raises
    ------
    ModelError
        If the file is missing, its SHA-256 differs, or it is not such a network.
    """
    from safetensors.torch import load

    from denoise_engine.ddlr.network import DDLR

    content = _checked_content(file)
    network = DDLR()
    try:
        network.load_state_dict(load(content))
    except Exception as error:
        raise ModelError(f"“{file.path.name}” does not hold the weights of {file.name}.") from error
    return LoadedModel(file, network.eval(), _card_in(content, file))


def read_card(file: ModelFile) -> dict[str, Any]:
    """Return the model card from the header of the weights, checked by hash.

    Raises
    ------
    ModelError
    """
    return _card_in(_checked_content(file), file)


def card_in_use(file: ModelFile) -> dict[str, Any]:
    """Return the card as it counts: that of the header, with what was calibrated after it.

    Raises
    ------
    ModelError
        The weights are missing, are others than the list says, or carry no card.
    """
    return read_card(file) | calibrated_later(file)


def calibrated_later(file: ModelFile) -> dict[str, Any]:
    """Return the calibration that stands in the list of transfer networks beside the weights.

    Calibrating anew leaves the weights as they are, and all that was measured of their images; so
    it goes into the list, which tells their SHA-256 too. Without it the header's counts.

    Parameters
    ----------
    file : ModelFile

    Returns
    -------
    dict
        ``calibration``; empty where the list has none of these very weights.
    """
    try:
        entries = json.loads(file.path.with_name(TRANSFER_MANIFEST.name).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    entry = entries.get(file.name, {})
    if entry.get("sha256") != file.sha256 or "calibration" not in entry:
        return {}
    return {"calibration": entry["calibration"]}


def page_beside(file: ModelFile) -> str | None:
    """Return the page of a model that lies beside its weights, which holds what was measured later.

    Parameters
    ----------
    file : ModelFile

    Returns
    -------
    str or None
        Markdown; None where there is no page, or it is that of other weights.
    """
    try:
        page = file.path.with_suffix(".md").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
    return page if file.sha256 in page else None


def read_checked(file: ModelFile) -> tuple[bytes, dict[str, Any]]:
    """Return the whole file, checked by hash, and the card in its header.

    Raises
    ------
    ModelError
    """
    content = _checked_content(file)
    return content, _card_in(content, file)


def _checked_content(file: ModelFile) -> bytes:
    try:
        content = file.path.read_bytes()
    except OSError as error:
        raise ModelError(f"The weights “{file.path.name}” cannot be read.") from error
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise ModelError(
            f"The weights “{file.path.name}” are not the ones that were validated: SHA-256 "
            f"{found[:12]}… instead of {file.sha256[:12]}…. Restore the file; nothing was computed."
        )
    return content


def _card_in(content: bytes, file: ModelFile) -> dict[str, Any]:
    # The header of safetensors: eight bytes of length (little endian), then JSON.
    length = int.from_bytes(content[:8], "little")
    try:
        header = json.loads(content[8 : 8 + length])
        return dict(json.loads(header["__metadata__"]["card"]))
    except (ValueError, KeyError) as error:
        raise ModelError(f"“{file.path.name}” carries no model card.") from error
