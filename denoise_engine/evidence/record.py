"""The evidence beside one denoised volume, as maps and as a record of plain values."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from denoise_engine.errors import UnusableVolumeError
from denoise_engine.evidence.structure import StructureTest
from denoise_engine.metrics import BoolArray

Floats = NDArray[np.float32]

# Every key of the QC record, in its order, with what it says.
QC_KEYS: dict[str, str] = {
    "qc_version": "Version of this list of keys.",
    "method": "Method that denoised the images.",
    "noise_level": "Noise SD that was acted on, in the unit of the images; median in the body.",
    "noise_method": "How the noise level was found.",
    "noise_confidence": "How far the estimate can be relied on: high, fair or low.",
    "noise_trusted": "False where the noise is not white: the level holds for some detail only.",
    "noise_lowest": "Lowest noise SD in the body; differs from the highest where a map was used.",
    "noise_highest": "Highest noise SD in the body.",
    "snr": "Mean body signal over noise level.",
    "snr_range": "Lowest and highest SNR the method was trained for; null if it was not trained.",
    "in_range": "Whether the SNR lies in that range, at the noise of nine tenths of the body too; "
    "null if there is none.",
    "blend": "Share of the method's output in the result, 0 to 1.",
    "gain_body": "Noise SD before over after, inside the body; null where none is left.",
    "gain_air": "The same in the air; null without air, or without noise there.",
    "removed_sd": "RMS of what was taken away in the body, in units of the noise SD.",
    "edge_correlation": "Rank correlation of removed energy with edges; noise gives 0 or less.",
    "edge_excess": "Energy removed at edges over that in flat tissue; noise gives 1 or less.",
    "whiteness": "Flatness of the spectrum of what was removed; 1 for white noise.",
    "band_excess": "Largest power removed in a band of detail, over that of the noise.",
    "local_mean": "How far local brightness changed, over what chance would do.",
    "fine_over_middle": "Removed power, finest over middle detail, the lesser of rows and "
    "columns; a network leaves it below 0.8 where the noise is not white.",
    "spectrum": "Power removed from coarse to fine detail, 1 for noise of the level used.",
    "places": "Places where small structure may have been removed.",
    "structure_passed": "Whether what was removed looks like noise alone.",
    "structure_sentence": "The outcome of the structure test in words.",
    "uncertainty_median": "Median uncertainty in the body, in units of the noise SD.",
    "uncertainty_p95": "95th percentile of the same.",
    "uncertainty_limit": "Uncertainty above which a pixel is flagged.",
    "flagged_share": "Share of the body where the output should not be believed.",
    "flagged_places": "The largest such places, at most twenty: slice, row and column of the "
    "middle, counted from 0, and size in pixels; on the grid of the maps.",
    "warnings": "What whoever uses the images must know.",
}
QC_VERSION = 2


@dataclass(frozen=True)
class Evidence:
    """What stands beside a denoised volume for a physicist, never for a blinded reader.

    Attributes
    ----------
    removed : ndarray of float32
        (slices, rows, columns), unit and grid of the images: input − output at the strength used,
        a bias correction included.
    uncertainty : ndarray of float32
        Same shape: estimated SD of the error of the method's output at full strength, in units of
        the noise SD. 0 where nothing of it went into the result.
    flagged : ndarray of bool
        Same shape: the output should not be believed here. Either it is no surer than the input, or
        structure may have been removed.
    noise_map : ndarray of float32
        Same shape: the noise SD that was acted on, in the unit of the images.
    structure : StructureTest
        Whether what was removed is noise, at full strength on the grid that was denoised.
    warnings : tuple of str
        Those of the result, then what the evidence adds.
    figures : dict
        The figures of the QC record that the maps do not hold; see :meth:`qc`.
    """

    removed: Floats
    uncertainty: Floats
    flagged: BoolArray
    noise_map: Floats
    structure: StructureTest
    warnings: tuple[str, ...]
    figures: dict[str, Any]

    def judged(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return a result's record with what the evidence has shown since.

        The evidence may find a noise level untrusted that the estimate took for good, and warns of
        more.
        """
        return {
            **record,
            "sigma_trusted": self.figures["noise_trusted"],
            "warnings": list(self.warnings),
        }

    def qc(self) -> dict[str, Any]:
        """Return the QC record: plain JSON values under the keys of ``QC_KEYS``, in their order."""
        structure = self.structure.record()
        renamed = {"structure_passed": "passed", "structure_sentence": "sentence"}
        known: dict[str, Any] = {
            "qc_version": QC_VERSION,
            **self.figures,
            **{key: structure[renamed.get(key, key)] for key in QC_KEYS if _of_structure(key)},
            "warnings": list(self.warnings),
        }
        return {key: known[key] for key in QC_KEYS}

    def save(self, folder: Path) -> None:
        """Write ``qc.json``, the maps as npy and pictures of them, wholly or not at all.

        Parameters
        ----------
        folder : Path
            Must not exist yet, or be empty.

        Raises
        ------
        UnusableVolumeError
            If the folder holds something already, or cannot be written.
        """
        from denoise_engine.evidence.pictures import write_pictures

        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UnusableVolumeError(
                f"“{folder}” already holds something; give a folder that is new or empty."
            )
        partial = folder.with_name(f".partial-{os.getpid()}-{folder.name}")
        try:
            partial.mkdir(parents=True)
            text = json.dumps(self.qc(), indent=2, ensure_ascii=False, allow_nan=False)
            (partial / "qc.json").write_text(text + "\n", encoding="utf-8")
            for name in ("removed", "uncertainty", "flagged", "noise_map"):
                np.save(partial / f"{name}.npy", getattr(self, name), allow_pickle=False)
            write_pictures(self, partial)
            if folder.exists():
                folder.rmdir()
            os.replace(partial, folder)
        except OSError as error:
            raise UnusableVolumeError(
                f"The evidence cannot be written to “{folder}”: {error.strerror or error}."
            ) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _of_structure(key: str) -> bool:
    return key.startswith("structure_") or key in StructureTest.__dataclass_fields__
